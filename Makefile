# Everything a newcomer needs: `make test` and `make train` build .venv when it is missing or stale, then do their work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install test test-transformers test-peers train train-captioner build-demo lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: $(VENV)/installed ## make .venv with every pinned dependency and this package, editable

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Side by side, a thread each: most of the suite waits for processes or counts on one core anyway.
test: install ## lint, then the whole test suite (no network)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope $(PYTEST_ARGS)

test-transformers: install ## transformers' own test suites on our classes (downloaded once)
	suite=$$($(BIN)/python tests/transformers_suite/fetch_suite.py) && \
	TRANSFORMERS_SUITE="$$suite" $(BIN)/python -m pytest tests/transformers_suite $(PYTEST_ARGS)

# clip_benchmark wants torchvision and more; its metrics do not. So it comes alone, on top of the locked packages, with
# a numpy that still makes a number of an array of one, as it does.
PEERS := .venv-peers
$(PEERS)/installed: $(VENV)/installed Makefile
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --no-deps clip_benchmark==1.6.2 'numpy<2.4'
	site() { "$$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }; \
	echo "import site; site.addsitedir('$$(site $(BIN)/python)')" > "$$(site $(PEERS)/bin/python)/locked.pth"
	touch $@

test-peers: $(PEERS)/installed ## our checkpoint in clip_benchmark's metric code, against ours (CHECKPOINT=folder)
	CHECKPOINT="$(CHECKPOINT)" $(PEERS)/bin/python -m pytest tests/peers -s $(PYTEST_ARGS)

train: install ## the main job: SynthFaces, a small model trained on it, its metrics in runs/synthfaces
	$(BIN)/python train.py --config configs/synthfaces.yaml $(TRAIN_ARGS)

train-captioner: install ## on top of `make train`: a decoder that writes captions, its metrics in runs/synthfaces-captioner
	$(BIN)/python train.py --config configs/captioner-synthfaces.yaml $(TRAIN_ARGS)

build-demo: install ## films of SynthFaces -> captioned dataset -> a minute of training -> zero-shot, in runs/build-demo
	PYTHONPATH=tests/data/build $(BIN)/python -m build_demo runs/build-demo $(TRAIN_ARGS)

lint: install ## what `make test` checks of the style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and everything built
	rm -rf $(VENV) $(PEERS) build dist *.egg-info
