# Each target is one line that could be typed as it stands. CARGO_TARGET_DIR is honoured.
ZHIYIN := "$${CARGO_TARGET_DIR:-target}/release/zhiyin"

.PHONY: demo test gate build web lint bench soak load models setup

demo: build ## start the service and play a sample call in real time
	$(ZHIYIN) demo

test: ## everything but the browser: unit, integration, Python clients, rules, documentation, the gate of the evaluation
	scripts/setup.sh --clients && if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --release; else cargo test --release --lib --bins --tests; fi && cargo test --release --doc && $(ZHIYIN) eval gate --profile fast

gate: build ## text tasks against eval/baselines; fails on a significant regression
	$(ZHIYIN) eval gate --profile fast

build: setup ## the one profile: release
	cargo build --release

web: build ## the live page in a real Chromium
	scripts/setup.sh --e2e && scripts/e2e.sh

lint: setup ## form and lints
	cargo fmt --check && cargo clippy --release --all-targets -- -D warnings

bench: build ## the figures of the README, one JSON object a line
	$(ZHIYIN) bench start --json && $(ZHIYIN) bench encoder --json && $(ZHIYIN) bench quality --json && $(ZHIYIN) bench live --calls 8 --json && $(ZHIYIN) bench live --chats 100 --json

soak: build ## half an hour of eight calls at once: memory, lag, lost words
	$(ZHIYIN) soak --calls 8 --minutes 30 --report docs/soak.md --json

load: build ## how many calls the machine carries: the series, table and plot of docs/load.md, overload, reconnects, sounds without speech
	$(ZHIYIN) bench live --series 1,2,4,8,16,32 --plot docs/load.svg --document docs/load.md && $(ZHIYIN) bench overload --calls 8 --json && $(ZHIYIN) bench reconnect --disconnects 1000 --json && $(ZHIYIN) bench nonspeech --minutes 30 --json

models: ## train the default models from the recipes (two cores: under three hours; SIZE=full: one GPU); files go to data/training
	scripts/train_models.sh all --size $${SIZE:-small}

setup: ## what the build needs; no-op where all is there
	scripts/setup.sh
