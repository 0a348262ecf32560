"""Transformers as in DETR, pre-norm: self-attention over an image's cells, queries that attend to them; attention kept.

Carion et al., "End-to-end object detection with transformers", ECCV 2020. Keys and queries carry positions, values do
not. Parameter names are the released ones (`self_attn.in_proj_weight`, `linear1`, `norm1`, …).
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class EncoderLayer(nn.Module):
    """Self-attention and two linear layers, each added to what it is given the norm of.

    Args:
        width: of each cell.
        heads: of the attention; a divisor of the width.
        inner: width between the linear layers.
        dropout: share of what is added that is left out, and of attention.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b n w"], position: Float[Tensor, "n w"]) -> Float[Tensor, "b n w"]:
        """Cells that have looked at each other."""
        y = self.norm1(x)
        x = x + self.dropout(self.self_attn(y + position, y + position, y, need_weights=False)[0])
        y = self.linear2(self.dropout(functional.gelu(self.linear1(self.norm2(x)))))
        return cast(Tensor, x + self.dropout(y))


class DecoderLayer(nn.Module):
    """Queries look at each other, then at the cells; arguments as for `EncoderLayer`."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        y: Float[Tensor, "b s w"],
        query: Float[Tensor, "s w"],
        memory: Float[Tensor, "b n w"],
        position: Float[Tensor, "n w"],
        need_weights: bool = False,
    ) -> tuple[Float[Tensor, "b s w"], Float[Tensor, "b s n"] | None]:
        """What the queries have gathered, and how much each looked at each cell, the mean over heads."""
        z = self.norm1(y)
        y = y + self.dropout(self.self_attn(z + query, z + query, z, need_weights=False)[0])
        z = self.norm2(y) + query
        found, weights = self.multihead_attn(z, memory + position, memory, need_weights=need_weights)
        y = y + self.dropout(found)
        z = self.linear2(self.dropout(functional.gelu(self.linear1(self.norm3(y)))))
        return y + self.dropout(z), weights


class Encoder(nn.Module):
    """Layers, then a norm."""

    def __init__(self, count: int, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, inner, dropout) for _ in range(count))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "b n w"], position: Float[Tensor, "n w"]) -> Float[Tensor, "b n w"]:
        """Cells after all layers."""
        for layer in self.layers:
            x = layer(x, position)
        return cast(Tensor, self.norm(x))


class Decoder(nn.Module):
    """Layers, then a norm."""

    def __init__(self, count: int, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, inner, dropout) for _ in range(count))
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        query: Float[Tensor, "s w"],
        memory: Float[Tensor, "b n w"],
        position: Float[Tensor, "n w"],
        need_weights: bool = False,
    ) -> tuple[Float[Tensor, "b s w"], Float[Tensor, "b s n"] | None]:
        """What the queries have gathered after all layers, and where they looked in the last one."""
        y = torch.zeros_like(query).expand(len(memory), -1, -1)
        weights = None
        for layer in self.layers:
            y, weights = layer(y, query, memory, position, need_weights)
        return self.norm(y), weights


class Transformer(nn.Module):
    """Encoder and decoder, all matrices Xavier-uniform."""

    def __init__(self, encoders: int, decoders: int, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(encoders, width, heads, inner, dropout)
        self.decoder = Decoder(decoders, width, heads, inner, dropout)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self,
        cells: Float[Tensor, "b n w"],
        position: Float[Tensor, "n w"],
        query: Float[Tensor, "s w"],
        need_weights: bool = False,
    ) -> tuple[Float[Tensor, "b s w"], Float[Tensor, "b s n"] | None]:
        """What the queries gathered from an image's cells, and where they looked."""
        found: tuple[Tensor, Tensor | None] = self.decoder(query, self.encoder(cells, position), position, need_weights)
        return found


class GridPosition(nn.Module):
    """A learned position for each cell of a grid: half of its numbers by the column, half by the row."""

    def __init__(self, width: int, most: int = 50) -> None:
        super().__init__()
        self.row_embed, self.col_embed = nn.Embedding(most, width // 2), nn.Embedding(most, width // 2)
        for table in (self.row_embed, self.col_embed):
            nn.init.uniform_(table.weight)

    def forward(self, rows: int, columns: int) -> Float[Tensor, "n w"]:
        """Of all cells in row order."""
        row, column = self.row_embed.weight[:rows, None], self.col_embed.weight[None, :columns]
        both = [column.expand(rows, -1, -1), row.expand(-1, columns, -1)]
        return torch.cat(both, -1).flatten(0, 1)
