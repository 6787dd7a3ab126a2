#!/usr/bin/env bash
# Makes the default models from the project's recipes: encoder, recogniser, or both.
#
#   scripts/train_models.sh [encoder|asr|all] [--size small|full|trial] [--public FOLDER] [--speech FOLDER] [--work FOLDER] [--install]
#
#   --size     small: two CPU cores, under three hours for both; full: one GPU, under half an hour (default: small);
#              trial: every stage for moments, to see that they follow one another; its models are worth nothing
#   --public   unpacked public text sets (`zhiyin datasets pull`), default data/public
#   --speech   unpacked public speech sets, default data/public
#   --work     checkpoints, logs, synthesised speech, default data/training; a stage that is done is not done again
#   --install  replace the files under models/; without it the new models stay in the work folder
#
# Needs python3 with venv; for the recogniser also espeak-ng, flite, festival with kal_diphone and cmu_us_slt_arctic_hts,
# opus-tools, zstd. Seeds are fixed; a stage ends after its steps or its minutes, so exact weights depend on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

what=all size=small public=$root/data/public speech=$root/data/public work=$root/data/training install=no
while [ $# -gt 0 ]; do
  case "$1" in
    encoder | asr | all) what=$1 ;;
    --size) size=${2:?--size small or full}; shift ;;
    --public) public=$(realpath "${2:?a folder}"); shift ;;
    --speech) speech=$(realpath "${2:?a folder}"); shift ;;
    --work) mkdir -p "${2:?a folder}"; work=$(realpath "$2"); shift ;;
    --install) install=yes ;;
    -h | --help) sed -n '2,16p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "train_models: unknown argument $1 (--help)" >&2; exit 2 ;;
  esac
  shift
done
case "$size" in small | full | trial) ;; *) echo "train_models: --size is small, full or trial" >&2; exit 2 ;; esac
[ "$size" = trial ] && [ "$install" = yes ] && { echo "train_models: the models of a trial are worth nothing; leave --install out" >&2; exit 2; }

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
missing() { echo "train_models: $1" >&2; exit 1; }

# stage NAME COMMAND…: runs once, keeps its log; a broken one names its log.
stage() {
  local name=$1; shift
  if [ -e "$work/$name.done" ]; then say "$name: done before"; return; fi
  say "$name"
  if ! "$@" >"$work/$name.log" 2>&1; then tail -n 20 "$work/$name.log" >&2; missing "$name failed; the whole log is $work/$name.log"; fi
  touch "$work/$name.done"
}

# python_for RECIPE: a virtual environment with its pinned packages.
python_for() {
  local venv=$work/venv-$1
  if [ ! -e "$venv/installed" ]; then
    python3 -m venv "$venv" || missing "python3 with venv is needed (apt install python3-venv)"
    "$venv/bin/pip" install --quiet -r "$root/models/recipes/$1/requirements.txt" && touch "$venv/installed"
  fi
  echo "$venv/bin/python"
}

train_encoder() {
  for set in clinc150 banking77 goemotions multidogo; do
    [ -d "$public/$set" ] || missing "$public/$set is not there: zhiyin datasets pull --from FOLDER_OR_URL --to $public"
  done
  local python; python=$(python_for encoder)
  python3 datasets/build.py --copies "$work/rows" >"$work/rows.log"
  export ZHIYIN_SERVICE_ROWS=$work/rows
  local options=(--public "$public" --work "$work/encoder" --size "$size" --seed 7) measured=()
  if [ "$size" = trial ]; then  # one row of forty
    local rows
    for rows in "$work"/rows/service-*/train.jsonl; do awk 'NR % 40 == 1' "$rows" >"$rows.few" && mv "$rows.few" "$rows"; done
    measured=(--own-only)
  fi
  cd models/recipes/encoder
  stage encoder-pretrain "$python" -m zhiyin_encoder.pretrain "${options[@]}"
  stage encoder-adapt "$python" -m zhiyin_encoder.pretrain "${options[@]}" --adapt
  if [ "$size" = full ]; then  # a GPU
    stage encoder-bag "$python" -m zhiyin_encoder.bag "${options[@]}"
    stage encoder-finetune "$python" -m zhiyin_encoder.finetune "${options[@]}"
  else
    export ONEDNN_PRIMITIVE_CACHE_CAPACITY=20000
    local minutes=25
    [ "$size" = trial ] && minutes=0.5
    stage encoder-trunk "$python" -m zhiyin_encoder.trunk "${options[@]}" --start adapted.pt --minutes "$minutes"
    stage encoder-bag "$python" -m zhiyin_encoder.bag "${options[@]}" --whole
    stage encoder-heads "$python" -m zhiyin_encoder.refit "${options[@]}" --plain
  fi
  local out=$work/zhiyin-encoder-small
  [ "$install" = yes ] && out=$root/models/zhiyin-encoder-small
  stage encoder-export "$python" -m zhiyin_encoder.export "${options[@]}" --out "$out"
  stage encoder-evaluate "$python" -m zhiyin_encoder.evaluate "${options[@]}" "${measured[@]}" --out "$out"
  cd "$root"
  say "encoder: $out (results in card.toml)"
}

train_asr() {
  for program in espeak-ng flite festival opusenc zstd; do
    command -v "$program" >/dev/null || missing "$program is not installed (models/recipes/asr/README.md names all)"
  done
  [ -d "$speech/fsdd" ] || missing "$speech/fsdd is not there: zhiyin datasets pull --from FOLDER_OR_URL --to $speech"
  local python assets=$work/openai_whisper-20250625/whisper/assets; python=$(python_for asr)
  if [ ! -d "$assets" ]; then
    "$work/venv-asr/bin/pip" download --quiet openai-whisper==20250625 --no-deps --no-binary :all: --no-build-isolation -d "$work"
    tar xzf "$work"/openai*whisper-20250625.tar.gz -C "$work"
  fi
  cd models/recipes/asr
  local sets=(--real "$speech" --texts texts --dialogues ../../../pipelines/samples/dialogues
    --service-en ../../../datasets/service-en/src --service-zh ../../../datasets/service-zh/src)
  local scales=(0.35 0.9 0.8 0.6 1) minutes=100
  [ "$size" = full ] && minutes=12
  [ "$size" = trial ] && scales=(0.004 0.004 0.004 0.004 0.02) minutes=1
  stage asr-speech "$python" synth.py --part train "${sets[@]}" --out "$work/train" --scale "${scales[0]}" --seed 1
  stage asr-more-speech "$python" synth.py --part extra "${sets[@]}" --out "$work/extra" --scale "${scales[1]}" --seed 2
  stage asr-wide-speech "$python" synth.py --part wide "${sets[@]}" --out "$work/wide" --scale "${scales[2]}" --seed 3
  stage asr-other-people "$python" synth.py --part reshaped "${sets[@]}" --out "$work/reshaped" --scale "${scales[3]}" --seed 4
  stage asr-test-speech "$python" synth.py --part test "${sets[@]}" --out "$work/test" --scale "${scales[4]}" --seed 3
  local words=(--tiktoken "$assets/multilingual.tiktoken" --mel "$assets/mel_filters.npz")
  export ONEDNN_PRIMITIVE_CACHE_CAPACITY=20000
  stage asr-train "$python" train.py --data "$work/train" "$work/extra" "$work/wide" "$work/reshaped" "${words[@]}" \
    --out "$work/asr.pt" --minutes "$minutes" --lr 0.0016 --hold 0.4
  mkdir -p "$work/zhiyin-asr-small"
  local packed=$work/zhiyin-asr-small/model.ggml.zst
  [ "$install" = yes ] && packed=$root/models/zhiyin-asr-small/model.ggml.zst
  stage asr-export "$python" export.py "$work/asr.pt" "${words[@]}" --type q5_0 --out "$work/model.ggml" --packed "$packed"
  cd "$root"
  say "recogniser: $packed; models/recipes/asr/README.md says how it is measured and its card written"
}

mkdir -p "$work"
if [ "$what" != asr ]; then train_encoder; fi
if [ "$what" != encoder ]; then train_asr; fi
