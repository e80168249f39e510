"""From a picture's patches to the prefix tokens of a language model."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_captioner_emocapclip import EmoCapCLIPCaptionerConfig
from .towers_emocapclip import tower_width

HEAD_WIDTH = 64


class PatchProjector(nn.Module):
    """An MLP on each patch, or on each mean of a square of patches."""

    def __init__(self, config: EmoCapCLIPCaptionerConfig):
        super().__init__()
        width, dim = tower_width(config.vision_config), config.text_decoder_config.hidden_size
        self.pooled_grid = config.pooled_grid
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, dim)
        self.down = nn.Linear(dim, dim)

    def forward(
        self, patches: torch.Tensor, grid: tuple[int, int], patch_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(images, patches, width) on a `grid` of patches → (images, tokens, dim)"""
        if self.pooled_grid is not None:
            patch_map = patches.transpose(1, 2).unflatten(2, grid)  # (images, width, rows, columns)
            patches = F.adaptive_avg_pool2d(patch_map, self.pooled_grid).flatten(2).transpose(1, 2)
        return self.down(F.gelu(self.up(self.norm(patches))))


class QueryProjector(nn.Module):
    """Learned queries that attend to the patches once, and an MLP."""

    def __init__(self, config: EmoCapCLIPCaptionerConfig):
        super().__init__()
        width, dim = tower_width(config.vision_config), config.text_decoder_config.hidden_size
        self.heads = next(heads for heads in range(max(1, dim // HEAD_WIDTH), 0, -1) if dim % heads == 0)
        self.queries = nn.Parameter(torch.empty(config.image_seq_length, dim))
        self.norm = nn.LayerNorm(width)
        self.key_projection = nn.Linear(width, dim)
        self.value_projection = nn.Linear(width, dim)
        self.query_norm = nn.LayerNorm(dim)
        self.out_projection = nn.Linear(dim, dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 4 * dim)
        self.down = nn.Linear(4 * dim, dim)

    def forward(
        self, patches: torch.Tensor, grid: tuple[int, int] | None, patch_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(images, patches, width), with False in `patch_mask` where one is padding → (images, tokens, dim)"""
        patches = self.norm(patches)
        queries = self._split(self.query_norm(self.queries).expand(len(patches), -1, -1))
        keys, values = self._split(self.key_projection(patches)), self._split(self.value_projection(patches))
        mask = None if patch_mask is None else patch_mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        tokens = self.queries + self.out_projection(attended.transpose(1, 2).flatten(2))
        return tokens + self.down(F.gelu(self.up(self.mlp_norm(tokens))))

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (images, heads, tokens, dim / heads)


PROJECTORS = {"mlp": PatchProjector, "query": QueryProjector}
