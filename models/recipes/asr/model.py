"""The network: Whisper's architecture with a small sub-vocabulary, its mel front end at 8 kHz, and a CTC head for training."""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocab import N_VOCAB

HOP_SAMPLES = 80  # 10 ms at 8 kHz
FRAME_SAMPLES = 2 * HOP_SAMPLES  # one encoder position


@dataclass
class Config:
    """`used_mels`: lowest mel bins in use; `sub_vocabulary`: Whisper ids with a row of their own; `ctc_units`: name -> id."""

    used_mels: int
    sub_vocabulary: list[int]
    ctc_units: dict[str, int]
    width: int = 256
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 3
    audio_context: int = 600
    text_context: int = 256

    def to_dict(self) -> dict:
        return asdict(self)


class Mel:
    """Log-mel spectrogram equal to whisper.cpp's at 16 kHz for band-limited input, computed at 8 kHz.

    Mel bins that reach above 4 kHz are left out. Input [batch, samples] in -1..1, samples a multiple of 160;
    output [batch, used_mels, samples / 80].
    """

    def __init__(self, filters: np.ndarray) -> None:
        narrow = [i for i in range(len(filters)) if filters[i, 100:].sum() == 0]
        self.used_mels = max(narrow) + 1
        self.filters = torch.from_numpy(np.ascontiguousarray(filters[: self.used_mels, :101]))
        self.window = torch.hann_window(200)

    def __call__(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(samples, 200, HOP_SAMPLES, window=self.window, center=True, pad_mode="reflect", return_complex=True)
        power = (spectrum[..., :-1].real ** 2 + spectrum[..., :-1].imag ** 2) * 4.0  # a 16 kHz window holds twice the samples
        log_mel = torch.log10(torch.clamp(self.filters @ power, min=1e-10))
        log_mel = torch.maximum(log_mel, log_mel.amax((1, 2), keepdim=True) - 8.0)
        return (log_mel + 4.0) / 4.0


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions: sines, then cosines, of geometrically spaced rates."""
    rates = torch.exp(-math.log(10000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value, self.out = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, memory: Tensor | None = None, causal: bool = False) -> Tensor:
        batch, length, width = x.shape
        source = x if memory is None else memory

        def split(y: Tensor) -> Tensor:
            return y.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        # Written out: at these lengths two products and a softmax train faster on a CPU than the fused kernel.
        scores = split(self.query(x)) * (width // self.heads) ** -0.5 @ split(self.key(source)).transpose(2, 3)
        if causal:
            scores = scores + torch.full((length, length), float("-inf"), dtype=scores.dtype).triu(1)
        mixed = scores.softmax(-1, dtype=scores.dtype) @ split(self.value(source))
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, cross: bool = False) -> None:
        super().__init__()
        self.attn, self.attn_ln = Attention(width, heads), nn.LayerNorm(width)
        self.cross_attn = Attention(width, heads) if cross else None
        self.cross_attn_ln = nn.LayerNorm(width) if cross else None
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.attn_ln(x), causal=self.cross_attn is not None)
        if self.cross_attn is not None and self.cross_attn_ln is not None:
            x = x + self.cross_attn(self.cross_attn_ln(x), memory)
        return x + self.mlp(self.mlp_ln(x))


class Encoder(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(config.used_mels, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(config.audio_context, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.encoder_layers))
        self.ln_post = nn.LayerNorm(config.width)

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.conv1(mel), approximate="tanh")
        x = F.gelu(self.conv2(x), approximate="tanh").transpose(1, 2)
        x = x + self.positional_embedding[: x.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)


class Decoder(nn.Module):
    """Rows for the sub-vocabulary only; the last row stands for every unused id, weighted by their log-count."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        rows = len(config.sub_vocabulary)
        self.token_embedding = nn.Embedding(rows + 1, config.width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.positional_embedding = nn.Parameter(torch.randn(config.text_context, config.width) * 0.01)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, cross=True) for _ in range(config.decoder_layers))
        self.ln = nn.LayerNorm(config.width)
        weight = torch.zeros(rows + 1)
        weight[-1] = math.log(N_VOCAB - rows)
        self.register_buffer("row_weight", weight, persistent=False)

    def forward(self, rows: Tensor, memory: Tensor) -> Tensor:
        x = self.token_embedding(rows) + self.positional_embedding[: rows.shape[1]]
        for block in self.blocks:
            x = block(x, memory)
        return F.linear(self.ln(x), self.token_embedding.weight).float() + self.row_weight


class Recogniser(nn.Module):
    """Encoder, decoder and the CTC head over encoder positions (dropped at export)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.ctc = nn.Linear(config.width, len(config.ctc_units) + 1)


def edit_distance(left: list[str], right: list[str]) -> int:
    row = list(range(len(right) + 1))
    for i, x in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def units(text: str, language: str) -> list[str]:
    """What an error rate counts: words in English, characters (and Latin words) without blanks in Mandarin."""
    return text.lower().split() if language == "en" else [c for c in text.lower() if not c.isspace()]
