"""Joins a fine-tuned trunk with the n-gram margins: how version 1 of the weights was finished.

The sentence heads of `finetune` get a second input, the cross-fitted margins of `bag`, weighted per head by factors that
were chosen on the dev split. The result is a checkpoint that `export` takes.

    python -m zhiyin_encoder.join --work WORK --tuned WORK/tuned.pt --out JOINED
"""

import argparse
import shutil
from pathlib import Path

import torch

from zhiyin_encoder import labels
from zhiyin_encoder.bag import Bag, section
from zhiyin_encoder.settings import Shape

#: Weight of the n-gram margins beside the trunk's logits, chosen on dev.
WEIGHTS = {"intent": 12.0, "act": 4.0, "emotion": 2.0, "conduct": 6.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with bag.npz and tokenizer.json")
    parser.add_argument("--tuned", type=Path, required=True, help="checkpoint of finetune")
    parser.add_argument("--out", type=Path, required=True, help="folder of the joined checkpoint")
    options = parser.parse_args()
    bag = Bag(options.work / "bag.npz")
    state = torch.load(options.tuned, weights_only=True)["state"]
    state = {name: value for name, value in state.items() if name not in ("bag", "pool_bag.weight") and not name.startswith("auxiliary.")}
    size = Shape().ngram_dim
    for head, weight in WEIGHTS.items():
        place = section(head)
        margins = torch.zeros(len(labels.SENTENCE_HEADS[head]), size)
        margins[:, place] = torch.eye(place.stop - place.start) * weight
        key = f"sentence_heads.{head}"
        state[f"{key}.weight"] = torch.cat([state[f"{key}.weight"], margins], 1)
        state[f"{key}.bias"] = state[f"{key}.bias"] + weight * torch.from_numpy(bag.intercept[place])
    options.out.mkdir(parents=True, exist_ok=True)
    torch.save({"state": state, "auxiliary": {}}, options.out / "tuned.pt")
    for name in ("bag.npz", "tokenizer.json"):
        shutil.copy(options.work / name, options.out / name)


if __name__ == "__main__":
    main()
