"""Mining from the arguments to the miner: rules, guides, and the columns that they need of the dataset."""

import datasets
import pytest
import torch
from processes import shared_batch, shared_model
from transformers import BertConfig, BertModel, BertTokenizer

from emocapclip_hf.objective import Embedder, GlobalLocalObjective
from emocapclip_hf.training.arguments import ObjectiveArguments, parse_arguments
from emocapclip_hf.training.guides import MiningGuide, positive_miner
from emocapclip_hf.training.text_encoder import SentenceEncoder

LEVELS = ("global", "summary", "local")
CAPTIONS = ("global_caption", "summary_caption", "local_captions")
SYNTHFACES = ("image", *CAPTIONS, "emotion", "action_units", "local_action_units", "local_sides", "valence")


def mining(**rule):
    return dict.fromkeys(LEVELS, {"guided_by": "text", "top_k": 2} | rule)


def guide_of(columns=SYNTHFACES, **options):
    args = ObjectiveArguments(**{"mining": mining(), **options})
    rows = datasets.Dataset.from_dict({name: [["joy"]] if name == "local_captions" else ["joy"] for name in columns})
    return MiningGuide(args, positive_miner(args), Embedder(shared_model()), rows)


@pytest.fixture(scope="module")
def sentence_encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "joy", "anger", "face"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


class TestArguments:
    def test_json_flags(self):
        flags = ["--mining", '{"local": {"guided_by": "image", "threshold": 0.5}}', "--local-weight", "[[0,0],[9,1]]"]
        args = parse_arguments(flags).objective
        assert positive_miner(args).rule("local", 0).threshold == 0.5
        assert positive_miner(args).rule("global", 0).guided_by == "none"
        assert args.local_weight == [[0, 0], [9, 1]] and args.global_weight == 1.0
        assert parse_arguments(["--local-weight", "0.5"]).objective.local_weight == 0.5

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"locale": {}}, "'locale'.*global, summary, local"),
            ({"guided_by": "text"}, "'guided_by': 'text'; it takes the levels"),
            ({"local": {"topk": 1}}, "local level: there is no 'topk'; did you mean 'top_k'"),
            ({"local": {"guided_by": "text"}}, "Set threshold, top_k"),
        ],
    )
    def test_rules_that_cannot_be(self, given, message):
        with pytest.raises(ValueError, match=message):
            positive_miner(ObjectiveArguments(mining=given))

    def test_no_json(self):
        with pytest.raises(ValueError, match=r"--local-weight '1;2' is not JSON"):
            parse_arguments(["--local-weight", "1;2"])


class TestColumns:
    def test_truth_is_read_only_where_something_is_mined(self):
        assert guide_of(mining=None).label_columns == []
        assert guide_of().label_columns == ["emotion", "action_units", "local_action_units", "local_sides"]
        assert guide_of(columns=CAPTIONS).label_columns == []

    def test_what_a_frozen_guide_reads(self, sentence_encoder):
        encoded = guide_of(mining_guide="frozen", mining_text_encoder=str(sentence_encoder), columns=CAPTIONS)
        assert encoded.label_columns == list(CAPTIONS)
        columns = (*CAPTIONS, "global_guide_embeds", "image_guide_embeds")
        assert guide_of(mining_guide="frozen", columns=columns).label_columns == list(columns[3:])

    def test_columns_that_are_missing(self):
        with pytest.raises(ValueError, match=r"global_guide_embeds.*Pass --mining-text-encoder"):
            guide_of(mining_guide="frozen")
        with pytest.raises(ValueError, match="needs the column emotion"):
            guide_of(mining=mining(guided_by="truth"), columns=CAPTIONS)


class TestGuide:
    def test_truth_where_it_is_measured_or_mined_from(self):
        batch = {"emotion": ["joy", "joy"]}
        device = torch.device("cpu")
        assert guide_of()(batch, device, step=0, measured=False)["truth"] is None
        assert guide_of()(batch, device, step=0, measured=True)["truth"].emotion.unique().numel() == 1
        assert guide_of(mining=mining(guided_by="truth"))(batch, device, step=0, measured=False)["truth"] is not None

    def test_the_average_guides(self):
        guide, batch = guide_of(mining_guide="ema", mining_ema_decay=0.5), shared_batch()
        seen = guide(batch, torch.device("cpu"), step=0, measured=False)["guide"]
        torch.testing.assert_close(seen.image, guide.average.teacher(batch).image)
        assert guide.average.decay == 0.5

    def test_a_text_encoder_guides(self, sentence_encoder):
        guide = guide_of(mining_guide="frozen", mining_text_encoder=str(sentence_encoder), columns=CAPTIONS)
        images = len(shared_batch()["pixel_values"])
        names = ["joy face", "anger face"]
        texts = [names[image % 2] for image in range(images)]
        batch = shared_batch(torch.float32) | {"global_caption": texts, "summary_caption": texts}
        batch["local_captions"] = [["joy"] * int(count) for count in batch["local_mask"].sum(dim=1)]
        seen = guide(batch, torch.device("cpu"), step=0, measured=False)["guide"]
        embeds = seen.captions["global"].embeds
        assert torch.equal(embeds[0], embeds[2]) and not torch.allclose(embeds[0], embeds[1])
        objective = GlobalLocalObjective(miner=positive_miner(ObjectiveArguments(mining=mining(top_k=1))))
        output = objective(objective.embedder(shared_model(torch.float32))(batch), guide=seen)
        assert output.diagnostics["global_positives_per_image"] > 3

    def test_each_level_has_its_guide(self):
        alike = {"guide": "captions", "guided_by": "text", "threshold": 0.5}
        then = {"guided_by": "text", "top_k": 2, "warmup_steps": 5}
        at_last = {"warmup_steps": 9}
        both = alike | {"by_level": ["global", "summary"]}
        rules = {"global": both, "summary": alike, "local": [alike, then, at_last]}
        rows = datasets.Dataset.from_dict(
            {
                "global_caption": ["She looks afraid.", "He looks happy."] * 4,
                "summary_caption": ["Fear: wide eyes.", "Joy: a smile."] * 4,
                "local_captions": [["The eyes are wide."], ["The lips smile."]] * 4,
            }
        )
        args = ObjectiveArguments(mining=rules)
        guide = MiningGuide(args, positive_miner(args), Embedder(shared_model()), rows)
        assert guide.needs_unsampled and guide.label_columns == list(CAPTIONS)
        batch = shared_batch(torch.float32)
        images = len(batch["pixel_values"])
        texts = [("Fear: wide eyes.", "Joy: a smile.")[image % 2] for image in range(images)]
        batch |= {"global_caption": texts, "summary_caption": texts}
        batch["local_captions"] = [["a face"] * int(count) for count in batch["local_mask"].sum(dim=1)]
        at_first, later = (guide(batch, torch.device("cpu"), step, measured=False)["guide"] for step in (0, 5))
        assert (
            set(at_first.captions) == {"global", "summary", "local"}
            and at_first.unsampled is None
            and at_first.image is None
        )
        assert set(later.captions) == {"global", "summary"}  # the model itself does the rest
        objective = GlobalLocalObjective(miner=positive_miner(args))
        embeddings = objective.embedder(shared_model(torch.float32))(batch)
        found = objective(embeddings, step=5, guide=later).diagnostics
        # captions 0 and 9 read the same
        assert found["global_positives_per_image"] == pytest.approx((6 * 6 + 5 * 5 + 2) / 11)
        assert found["local_positives_per_caption"] > 1
        # The model embeds what was not sampled only while it compares sentences itself.
        kept = {step: guide.for_model(batch, step, seen) for step, seen in ((0, at_first), (5, later), (9, later))}
        unsampled = {f"unsampled_{name}" for name in ("input_ids", "attention_mask", "mask")}
        left_out = {step: batch.keys() - some.keys() for step, some in kept.items()}
        assert left_out == {0: unsampled, 5: set(), 9: unsampled}

    def test_captions_have_one_guide_at_a_time(self):
        rules = mining() | {"global": {"guide": "ema", "guided_by": "text", "by_level": "summary", "top_k": 1}}
        with pytest.raises(ValueError, match="summary captions are compared by ema and by self from step 0"):
            guide_of(mining=rules)

    def test_a_guide_that_does_not_exist(self):
        with pytest.raises(ValueError, match="global level: the guide is 'oracle'; choose from self, ema, captions"):
            guide_of(mining={"global": {"guide": "oracle", "guided_by": "text", "top_k": 1}})


class TestSentenceEncoder:
    def test_padding_does_not_count(self, sentence_encoder):
        encode = SentenceEncoder(str(sentence_encoder))
        alone, padded = encode(["joy"]), encode(["joy", "anger face joy face"])
        torch.testing.assert_close(padded[:1], alone, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(padded.norm(dim=1), torch.ones(2))

    def test_the_first_token_where_the_checkpoint_says_so(self, sentence_encoder, tmp_path):
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
        for file in sentence_encoder.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        encode = SentenceEncoder(str(tmp_path))
        tokens = encode.tokenizer(["joy face"], return_tensors="pt")
        first = torch.nn.functional.normalize(encode.model(**tokens).last_hidden_state[:, 0], dim=-1)
        torch.testing.assert_close(encode(["joy face"]), first)
