# Every target installs what it needs. ARGS adds flags to a command: make train-kws ARGS="--epochs=5"

PYTHON ?= python3
VENV ?= .venv
TFIO_VENV ?= .venv-tfio
BENCH_VENV ?= .venv-bench
LIBROSA1_VENV ?= .venv-librosa1
PYTHON312 ?= python3.12
BIN := $(VENV)/bin
ARGS ?=
RUN_DIR ?= runs/kws/default
FILE ?=
DATA_DIR ?= data/speech_commands
COUNTING_DIR ?= runs/counting/default
LIBRISPEECH ?= data/librispeech
SEPARATION_DIR ?= runs/separation/default
GENERATION_DIR ?= runs/generation/default
# Number of processes that run tests. The one that is done first takes over tests of another.
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist=worksteal

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow test-all lint format docs bench bench-devices bench-agreement bench-options bench-separators bench-scale bench-kills bench-fuzz bench-kinds bench-long tensorboard train-kws evaluate-kws predict-kws export-kws crossvalidate-kws reproduce-kws compare-kws train-counting evaluate-counting predict-counting export-counting prepare-counting reproduce-counting train-separation evaluate-separation predict-separation export-separation train-generation evaluate-generation generate export-generation test-tfio clean test-librosa1

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: $(VENV)/.installed  ## make the virtual environment and install everything

$(VENV)/.installed: EXTRAS := speech,ffmpeg,embedding,live,dev
$(VENV)/.installed: constraints.txt
$(TFIO_VENV)/.installed: EXTRAS := speech,ffmpeg,embedding,live,dev,tfio
$(TFIO_VENV)/.installed: constraints-tfio.txt
$(LIBROSA1_VENV)/.installed: EXTRAS := speech,ffmpeg,embedding,live,dev
$(LIBROSA1_VENV)/.installed: PYTHON := $(PYTHON312)
$(LIBROSA1_VENV)/.installed: constraints-librosa1.txt
$(BENCH_VENV)/.installed: EXTRAS := speech,ffmpeg,embedding,live,dev,bench
$(BENCH_VENV)/.installed: constraints.txt

# One environment per file of constraints. pip compiles files one after another; compileall uses all cores. Files that cannot be
# compiled are templates of a package, which pip skips too.
%/.installed: setup.cfg pyproject.toml
	@echo "Setting up $*: TensorFlow is large, this takes a few minutes once."
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --disable-pip-version-check --quiet --upgrade pip
	$*/bin/python -m pip install --disable-pip-version-check --no-compile -c $(filter constraints%,$^) -e '.[$(EXTRAS)]'
	$*/bin/python -m compileall -qq -j 0 $*/lib || true
	@touch $@

test: setup  ## run the quick tests
	$(BIN)/python $(PYTEST) -m "not slow" $(ARGS)

test-slow: setup  ## run the slow tests: kills, several workers, full trainings
	$(BIN)/python $(PYTEST) -m slow $(ARGS)

test-all: setup  ## run all tests, quick and slow
	$(BIN)/python $(PYTEST) $(ARGS)

test-tfio: $(TFIO_VENV)/.installed  ## run all tests under TensorFlow 2.16 with tensorflow-io
	$(TFIO_VENV)/bin/python $(PYTEST) $(ARGS)

test-librosa1: $(LIBROSA1_VENV)/.installed  ## run all tests under librosa 1.0 on Python 3.12
	$(LIBROSA1_VENV)/bin/python $(PYTEST) $(ARGS)

lint: setup  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## write the API reference to docs/api
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/python -m pdoc --docformat google --output-directory docs/api quartet kws counting separation generation common

# Called by their folders, without what is the same in all: `kws/default/train`.
tensorboard: setup  ## show all runs at http://localhost:6006
	$(BIN)/tensorboard --logdir_spec=$$(find runs -name tensorboard | sed 's|^runs/\(.*\)/tensorboard$$|\1:&|' | sort | paste -sd,)

# The variant for synthetic speech in a few minutes, set-up included: fewer clips and epochs, and less augmentation. On
# recordings of people the whole variant is better.
train-kws: setup  ## train a keyword spotter on synthetic speech, evaluate it, predict a WAV
	$(BIN)/python -m kws.train --variant=synthetic --run_dir=$(RUN_DIR) --clips_per_word=400 --epochs=5 --fine_tune_rate=0.5 --mixup_probability=0 \
		--max_vocal_tract_warp=0 --max_time_stretch=0 --equalizer_db=0 --precision=auto --nojit_compile $(ARGS)
	$(BIN)/python -m kws.predict --run_dir=$(RUN_DIR) $(RUN_DIR)/example.wav

evaluate-kws: setup  ## evaluate the keyword spotter of RUN_DIR
	$(BIN)/python -m kws.evaluate --run_dir=$(RUN_DIR) $(ARGS)

predict-kws: setup  ## predict the word of FILE
	$(BIN)/python -m kws.predict --run_dir=$(RUN_DIR) $(ARGS) $(or $(FILE),$(RUN_DIR)/example.wav)

export-kws: setup  ## export the keyword spotter of RUN_DIR as SavedModel and LiteRT
	$(BIN)/python -m kws.export --run_dir=$(RUN_DIR) $(ARGS)

crossvalidate-kws: setup  ## train and test a variant on every fold of a corpus (ARGS="--corpus=… --data_dir=…")
	$(BIN)/python -m kws.crossvalidate --variant=twelve $(ARGS)

reproduce-kws: setup  ## train the models of the student report: DATA_DIR=… ARGS="--quick"
	$(BIN)/python -m kws.reproduce --data_dir=$(DATA_DIR) $(ARGS)

compare-kws: setup  ## train, export and time every encoder on one corpus: ARGS="--corpus=… --data_dir=…"
	$(BIN)/python -m kws.compare $(ARGS)

train-counting: setup  ## train a speaker counter on synthetic voices, evaluate it, predict a WAV
	$(BIN)/python -m counting.train --variant=synthetic --run_dir=$(COUNTING_DIR) $(ARGS)
	$(BIN)/python -m counting.predict --run_dir=$(COUNTING_DIR) $(COUNTING_DIR)/example.wav

evaluate-counting: setup  ## evaluate the speaker counter of COUNTING_DIR, also with reverberation, noise and other levels
	$(BIN)/python -m counting.evaluate --run_dir=$(COUNTING_DIR) $(ARGS)

predict-counting: setup  ## count the speakers of FILE
	$(BIN)/python -m counting.predict --run_dir=$(COUNTING_DIR) $(ARGS) $(or $(FILE),$(COUNTING_DIR)/example.wav)

export-counting: setup  ## export the speaker counter of COUNTING_DIR as SavedModel and LiteRT
	$(BIN)/python -m counting.export --run_dir=$(COUNTING_DIR) $(ARGS)

prepare-counting: setup  ## write a fixed set of mixtures: ARGS="--output_dir=… --corpus=… --data_dir=…"
	$(BIN)/python -m counting.prepare $(ARGS)

reproduce-counting: setup  ## train the models of the student report: LIBRISPEECH=… ARGS="--quick"
	$(BIN)/python -m counting.reproduce --data_dir=$(LIBRISPEECH) $(ARGS)

# On two cores, two operations with one thread each train this small network 1.7 times as fast as one operation with two threads.
train-separation: export TF_NUM_INTRAOP_THREADS ?= 1
train-separation: setup  ## train a separator on synthetic songs, evaluate it, separate a song
	$(BIN)/python -m separation.train --variant=synthetic --precision=auto --nojit_compile --run_dir=$(SEPARATION_DIR) $(ARGS)
	$(BIN)/python -m separation.predict --run_dir=$(SEPARATION_DIR) --output_dir=$(SEPARATION_DIR)/stems $(SEPARATION_DIR)/example/mixture.wav

evaluate-separation: setup  ## evaluate the separator of SEPARATION_DIR, compared with ideal masks
	$(BIN)/python -m separation.evaluate --run_dir=$(SEPARATION_DIR) --oracle $(ARGS)

predict-separation: setup  ## separate FILE into stems/
	$(BIN)/python -m separation.predict --run_dir=$(SEPARATION_DIR) $(ARGS) $(or $(FILE),$(SEPARATION_DIR)/example/mixture.wav)

export-separation: setup  ## export the separator of SEPARATION_DIR as SavedModel and LiteRT
	$(BIN)/python -m separation.export --run_dir=$(SEPARATION_DIR) $(ARGS)

train-generation: setup  ## train a generator on synthetic riffs, evaluate it, generate new ones
	$(BIN)/python -m generation.train --variant=synthetic --run_dir=$(GENERATION_DIR) $(ARGS)
	$(BIN)/python -m generation.generate --run_dir=$(GENERATION_DIR) --output_dir=$(GENERATION_DIR)/generated --duration_seconds=12

evaluate-generation: setup  ## evaluate the generator of GENERATION_DIR, compared with recordings
	$(BIN)/python -m generation.evaluate --run_dir=$(GENERATION_DIR) $(ARGS)

generate: setup  ## generate pieces: ARGS="--num_samples=8 --seed=1 --duration_seconds=30"
	$(BIN)/python -m generation.generate --run_dir=$(GENERATION_DIR) $(ARGS)

export-generation: setup  ## export the generator of GENERATION_DIR: noise or a seed in, a waveform out
	$(BIN)/python -m generation.export --run_dir=$(GENERATION_DIR) $(ARGS)

bench: $(BENCH_VENV)/.installed  ## measure networks, features and pipeline, compared with PyTorch and librosa
	$(BENCH_VENV)/bin/python -m benchmarks.networks
	$(BENCH_VENV)/bin/python -m benchmarks.mixing
	$(BENCH_VENV)/bin/python -m benchmarks.separation
	$(BENCH_VENV)/bin/python -m benchmarks.inversion
	$(BENCH_VENV)/bin/python -m benchmarks.features
	$(BENCH_VENV)/bin/python -m benchmarks.pipeline

bench-devices: setup  ## train a few steps of every task in every precision on the devices present
	$(BIN)/python -m benchmarks.devices $(ARGS)

bench-agreement: setup  ## train every task in every precision and strategy, and compare the results
	$(BIN)/python -m benchmarks.agreement $(ARGS)

bench-options: setup  ## train a task with one option changed at a time: ARGS=--task=separation
	$(BIN)/python -m benchmarks.options $(ARGS)

bench-separators: setup  ## train separators on folds, and compare them per track: ARGS="--corpus=mir1k --data_dir=…"
	$(BIN)/python -m benchmarks.separators $(ARGS)

bench-scale: setup  ## measure the cost of a corpus and of several workers
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-kills: setup  ## kill every command at random moments, and compare with an undisturbed run
	$(BIN)/python -m benchmarks.kills $(ARGS)

bench-fuzz: setup  ## feed hostile input to every reader
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

bench-kinds: setup  ## run every command on every kind of recording
	$(BIN)/python -m benchmarks.kinds $(ARGS)

bench-long: setup  ## measure the memory for recordings of one and ten hours
	$(BIN)/python -m benchmarks.long_recordings $(ARGS)

clean:  ## remove the environments, but not recordings and runs
	rm -rf $(VENV) $(TFIO_VENV) $(LIBROSA1_VENV) $(BENCH_VENV)
