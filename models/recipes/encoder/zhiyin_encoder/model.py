"""The network: a BERT trunk, a pooled sentence vector, and the heads.

Post-layer-norm BERT layout, so that the exported trunk has Hugging Face's tensor names and
`src/inference/trunk.rs` (or any other BERT loader) runs it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .settings import Shape


class Layer(nn.Module):
    """Self-attention and feed-forward, each with a residual and a layer norm behind it (post-norm)."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        hidden = shape.hidden_size
        self.heads = shape.num_attention_heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.attention_output = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=shape.layer_norm_eps)
        self.intermediate = nn.Linear(hidden, shape.intermediate_size)
        self.output = nn.Linear(shape.intermediate_size, hidden)
        self.output_norm = nn.LayerNorm(hidden, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """`x` is (batch, tokens, hidden); `mask` is (batch, 1, 1, tokens), true where a token is."""
        batch, length, hidden = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        attended = attended.transpose(1, 2).reshape(batch, length, hidden)
        x = self.attention_norm(x + self.dropout(self.attention_output(attended)))
        return self.output_norm(x + self.dropout(self.output(F.gelu(self.intermediate(x)))))


class Trunk(nn.Module):
    """Token ids to hidden states."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.positions = nn.Embedding(shape.max_position_embeddings, shape.hidden_size)
        self.types = nn.Embedding(shape.type_vocab_size, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.num_hidden_layers))
        self.apply(initialise)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """`ids` and `mask` are (batch, tokens); returns (batch, tokens, hidden)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.words(ids) + self.positions(positions) + self.types.weight[0]
        x = self.dropout(self.norm(x))
        attention = mask[:, None, None, :].bool() if mask is not None else None
        for layer in self.layers:
            x = layer(x, attention)
        return x


def initialise(module: nn.Module) -> None:
    """Normal weights of deviation 0.02, as BERT."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


class WordHead(nn.Module):
    """Language-model head of masked words; its table is the word table of the trunk."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.transform = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size)
        self.bias = nn.Parameter(torch.zeros(shape.vocab_size))

    def word_loss(self, hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy of the true tokens at some positions; `hidden` is (positions, hidden)."""
        logits = F.linear(self.norm(F.gelu(self.transform(hidden))), table, self.bias)
        return F.cross_entropy(logits.float(), targets)


class MaskedModel(WordHead):
    """The trunk with the language-model head that pre-training needs.

    There is no dropout: pre-training here sees its text about once, so there is nothing to overfit.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.trunk = Trunk(shape, dropout=0.0)

    def forward(self, ids: Tensor, chosen: Tensor, targets: Tensor) -> Tensor:
        """Loss over the masked positions: `chosen` are their flat indices, `targets` their true tokens."""
        return self.word_loss(self.trunk(ids).flatten(0, 1)[chosen], self.trunk.words.weight, targets)


class Encoder(nn.Module):
    """Trunk, sentence vector and heads. `sentence_heads` and `token_heads` give the label counts.

    The character n-gram bag is fitted by itself (`bag.py`); sentence heads read its margins behind the sentence vector.
    """

    def __init__(self, shape: Shape, sentence_heads: dict[str, int], token_heads: dict[str, int], auxiliary: dict[str, int]) -> None:
        super().__init__()
        hidden = shape.hidden_size
        # Dropped words (examples.py) regularise the trunk; dropout inside would cost a fifth of the time.
        self.trunk = Trunk(shape, dropout=0.0)
        self.pool_first = nn.Linear(hidden, hidden)
        self.pool_mean = nn.Linear(hidden, hidden, bias=False)
        self.pool_norm = nn.LayerNorm(hidden, eps=1e-5)
        self.embedding = nn.Linear(hidden, shape.embedding_size)
        joined = hidden + shape.ngram_dim
        self.sentence_heads = nn.ModuleDict({name: nn.Linear(joined, count) for name, count in sentence_heads.items()})
        self.token_heads = nn.ModuleDict({name: nn.Linear(hidden, count) for name, count in token_heads.items()})
        self.auxiliary = nn.ModuleDict({name: nn.Linear(hidden, count) for name, count in auxiliary.items()})
        self.dropout = nn.Dropout(0.15)

    def trust_bag(self, sections: dict[str, slice], intercept: Tensor, trust: dict[str, float]) -> None:
        """Start of the sentence heads: the bag's own verdict, nothing of the sentence vector yet."""
        with torch.no_grad():
            for name, head in self.sentence_heads.items():
                hidden = head.in_features - sum(s.stop - s.start for s in sections.values())
                place = sections[name]
                head.weight.zero_()
                head.weight[:, hidden + place.start : hidden + place.stop] = torch.eye(place.stop - place.start) * trust[name]
                head.bias.copy_(intercept[place] * trust[name])

    def head(self, name: str, sentence: Tensor, margins: Tensor) -> Tensor:
        """Logits of a sentence head: dropout on the sentence vector, none on the margins."""
        return self.sentence_heads[name](torch.cat([self.dropout(sentence), margins.to(sentence.dtype)], -1))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (batch, tokens, hidden) and sentence vectors (batch, hidden)."""
        hidden = self.trunk(ids, mask)
        weights = mask[:, :, None].to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return hidden, F.gelu(self.pool_norm(self.pool_first(hidden[:, 0]) + self.pool_mean(mean)))

    def embed(self, sentence: Tensor) -> Tensor:
        """Unit vectors for retrieval."""
        return F.normalize(self.embedding(sentence).float(), dim=-1)
