"""transformers' common model tests for our models, and our versions of those that were made for a single tower."""

from __future__ import annotations

import unittest

import torch
from captioner_zoo import PROMPT_LENGTH, captioner_config, prompts
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
from transformers_suite.generation.test_utils import GenerationTesterMixin
from transformers_suite.test_configuration_common import ConfigTester
from transformers_suite.test_modeling_common import ModelTesterMixin
from transformers_suite.test_training_mixin import TrainingTesterMixin
from zoo import TEXT_LENGTH, random_images, random_inputs, small_config

from emocapclip_hf.modeling import (
    EmoCapCLIPCaptionerConfig,
    EmoCapCLIPConfig,
    EmoCapCLIPForConditionalGeneration,
    EmoCapCLIPForImageClassification,
    EmoCapCLIPModel,
)

# The common tests look here for what a model is: that it takes labels, for instance.
MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES["emocapclip"] = EmoCapCLIPForImageClassification.__name__

NUM_LAYERS, HIDDEN_SIZE, NUM_HEADS = 2, 32, 4  # of every tower in the zoo


def not_applicable(reason: str):
    """A common test that asks for what a model does not have."""

    @unittest.skip(reason)
    def test(self):
        self.fail(f"not skipped: {reason}")

    return test


class ModelTester:
    """Where the common tests take a config and inputs from, and what they know about the model."""

    is_training = True
    batch_size = 7  # the attention tests fill smaller batches up to 7, with numbers that are no spatial shapes
    num_hidden_layers, hidden_size, num_attention_heads = NUM_LAYERS, HIDDEN_SIZE, NUM_HEADS

    def __init__(self, towers: str, seq_length: int, images_only: bool = False):
        self.towers, self.seq_length, self.images_only = towers, seq_length, images_only
        self.vision_config = self.text_config = {"num_hidden_layers": NUM_LAYERS}

    def get_config(self) -> EmoCapCLIPConfig:
        config = small_config(self.towers)
        config.vocab_size = config.text_config.vocab_size  # the training test reads it
        return config

    def prepare_config_and_inputs_for_common(self) -> tuple[EmoCapCLIPConfig, dict[str, torch.Tensor]]:
        config = small_config(self.towers)
        if self.images_only:
            return config, random_images(config, self.batch_size)
        return config, random_inputs(config, self.batch_size, sentences=2) | {"return_loss": True}


class _Contract(ModelTesterMixin, TrainingTesterMixin):
    """What both models share. A test class names its towers."""

    model_tester = None  # set for each test; TrainingTesterMixin wants to see it on the class
    towers: str
    additional_model_inputs = ("pixel_values", "pixel_attention_mask", "spatial_shapes")
    _is_composite = True
    test_can_init_all_missing_weights_before_2023 = True  # our files carry no year; the test applies all the same

    def small_model(self, **tower_options) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
        """A model in evaluation mode with `tower_options` set in its config and its towers', and inputs for it."""
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        for name, value in tower_options.items():
            setattr(config, name, value)
            self._set_subconfig_attributes(config, name, value)
        model = self.all_model_classes[0]._from_config(config, attn_implementation="eager")
        return model.eval(), inputs

    def _get_model_modality(self) -> str:
        return "text"  # the only one for which the training test has a batch; ours is below

    def check_hidden_states(self, hidden_states: tuple[torch.Tensor, ...]) -> None:
        self.assertEqual(len(hidden_states), NUM_LAYERS + 1)
        for states in hidden_states:
            self.assertEqual(len(states), self.model_tester.batch_size)
            self.assertTrue(states.isfinite().all())


class ModelContract(_Contract):
    """All that applies to [`EmoCapCLIPModel`]."""

    all_model_classes = (EmoCapCLIPModel,)
    vision_tower_attends = True
    parameters_without_gradient = frozenset()

    def setUp(self):
        self.model_tester = ModelTester(self.towers, TEXT_LENGTH)

    def test_config(self):
        properties = ["vision_config", "text_config", "projection_dim", "logit_scale_init_value"]
        tester = ConfigTester(
            self, config_class=EmoCapCLIPConfig, has_text_modality=False, common_properties=properties
        )
        tester.run_common_tests()

    # The common versions of the next three look for one tower's outputs at the top level.

    def test_hidden_states_output(self):
        for asked_in_call in (True, False):
            model, inputs = self.small_model(output_hidden_states=not asked_in_call)
            outputs = model(**inputs, **({"output_hidden_states": True} if asked_in_call else {}))
            for tower in (outputs.text_model_output, outputs.vision_model_output):
                self.check_hidden_states(tower.hidden_states)
                self.assertEqual(tower.hidden_states[-1].shape, tower.last_hidden_state.shape)

    def test_attention_outputs(self):
        for asked_in_call in (True, False):
            model, inputs = self.small_model(output_attentions=not asked_in_call)
            outputs = model(**inputs, **({"output_attentions": True} if asked_in_call else {}))
            towers = [outputs.text_model_output, outputs.vision_model_output][: 1 + self.vision_tower_attends]
            for tower in towers:
                tokens = tower.last_hidden_state.shape[1]
                self.assertEqual(len(tower.attentions), NUM_LAYERS)
                for attention in tower.attentions:
                    self.assertEqual(attention.shape, (self.model_tester.batch_size, NUM_HEADS, tokens, tokens))
                    torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))

    def test_retain_grad_hidden_states_attentions(self):
        """The global loss reaches the first layer of both towers; the local one, of the vision tower by itself."""
        model, inputs = self.small_model(output_hidden_states=True, output_attentions=True)
        outputs = model(**inputs)
        text, vision = outputs.text_model_output, outputs.vision_model_output
        first = {
            "text": text.hidden_states[0],
            "vision": vision.hidden_states[0],
            "text attention": text.attentions[0],
        }
        if self.vision_tower_attends:
            first["vision attention"] = vision.attentions[0]
        gradients = torch.autograd.grad(outputs.global_loss, first.values(), retain_graph=True)
        local = torch.autograd.grad(outputs.local_loss, first["vision"])
        for name, gradient in zip([*first, "vision, by the local loss"], [*gradients, *local], strict=True):
            self.assertGreater(gradient.abs().sum().item(), 0, name)

    def test_model_outputs_equivalence(self):
        """`return_dict=False` gives the same values. (The common version subtracts masks, and ours are bool.)"""
        model, inputs = self.small_model(output_hidden_states=True, output_attentions=True)
        with torch.no_grad():
            as_tuple, as_dict = model(**inputs, return_dict=False), model(**inputs, return_dict=True).to_tuple()
        torch.testing.assert_close(as_tuple, as_dict)

    def test_loss_reaches_every_parameter(self):
        model, inputs = self.small_model()
        model(**inputs).loss.backward()
        without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
        self.assertEqual(without, self.parameters_without_gradient)

    def _create_text_training_batch(self, batch_size: int, **kwargs) -> dict[str, torch.Tensor]:
        # One sentence an image: several share the probability, so that the loss could not approach 0.
        return random_inputs(small_config(self.towers), batch_size, sentences=1) | {"return_loss": True}


class ClassifierContract(_Contract):
    """All that applies to [`EmoCapCLIPForImageClassification`]."""

    all_model_classes = (EmoCapCLIPForImageClassification,)
    tokens_per_image: int
    test_resize_embeddings = False  # there is no text tower

    def setUp(self):
        self.model_tester = ModelTester(self.towers, self.tokens_per_image, images_only=True)

    def test_model_get_set_embeddings(self):
        """The input embeddings are those of the patches, no `nn.Embedding`."""
        model, _ = self.small_model()
        self.assertIs(model.get_input_embeddings(), model.vision_model.get_input_embeddings())
        self.assertIsInstance(model.get_input_embeddings(), torch.nn.Module)
        self.assertIsNone(model.get_output_embeddings())

    def _create_text_training_batch(self, batch_size: int, **kwargs) -> dict[str, torch.Tensor]:
        config = small_config(self.towers)
        return random_images(config, batch_size) | {"labels": torch.arange(batch_size) % config.num_labels}


class CaptionerTester(ModelTester):
    """The same for a captioner, by its name in `captioner_zoo.CAPTIONERS`."""

    def __init__(self, name: str):
        config = captioner_config(name)
        super().__init__(name, seq_length=config.image_seq_length + PROMPT_LENGTH)
        self.text_config = {"num_hidden_layers": NUM_LAYERS}

    def get_config(self) -> EmoCapCLIPCaptionerConfig:
        config = captioner_config(self.towers)
        config.vocab_size = config.text_decoder_config.vocab_size  # the training test reads it
        return config

    def prepare_config_and_inputs_for_common(self) -> tuple[EmoCapCLIPCaptionerConfig, dict[str, torch.Tensor]]:
        config = captioner_config(self.towers)
        return config, prompts(config, self.batch_size)


class CaptionerContract(_Contract, GenerationTesterMixin):
    """All that applies to [`EmoCapCLIPForConditionalGeneration`]."""

    all_model_classes = (EmoCapCLIPForConditionalGeneration,)

    def setUp(self):
        self.model_tester = CaptionerTester(self.towers)

    def test_config(self):
        tester = ConfigTester(
            self,
            config_class=EmoCapCLIPCaptionerConfig,
            has_text_modality=False,
            common_properties=["vision_config", "text_decoder_config", "projector_type"],
        )
        tester.run_common_tests()

    test_model_base_model_prefix = not_applicable("The captioner has a language model in it, no base model")
