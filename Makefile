# make study   sets everything up (once) and runs the quick study
# make setup   .venv with TensorFlow, an MPI where the machine lacks one, Horovod and the tools
# make test    the fast tests; test-browser, test-slurm, test-faults and bench need more of the machine or time
#
# Another Python:      make setup PYTHON=python3.12
# Another TensorFlow:  make setup TENSORFLOW=2.18.1      (resolved anew, without constraints.txt)
# For GPUs elsewhere:  make setup GPU=1                  (on a login node without one)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
CONSTRAINTS := constraints.txt
TENSORFLOW :=
GPU :=
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in $(BIN)/python python3 python3.13 python3.12 python3.11; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && exit; done; echo python3)
# As in an activated environment: tests find horovodrun, mpirun and batchscale. Bytecode is kept where the variable says
# otherwise, too: else each worker and each process that a test starts compiles all that it imports anew.
ACTIVATED := PATH="$(abspath $(BIN)):$$PATH" PYTHONDONTWRITEBYTECODE=
# What starts TensorFlow takes most of the tests' time; above this number `make test` fails.
MOST_STARTS := 100
# What drives the report's page, and what looks for barriers in it; each carries all that it needs.
BROWSER := playwright axe-playwright-python
PACKAGES := benchmarks launchers analysis slurm

.PHONY: study reference types wheel docs setup test test-browser test-slow test-slurm test-gpu-pretended test-faults test-three-times accuracy fuzz reliability bench bench-fit bench-study bench-gpu at-scale lint clean

study: setup
	$(ACTIVATED) batchscale study quick

setup: $(READY)

$(READY): setup.cfg pyproject.toml constraints.txt launchers/machine/setup_environment.py
	$(PYTHON) -I launchers/machine/setup_environment.py --environment "$(VENV)" \
		--constraints "$(CONSTRAINTS)" --tensorflow "$(TENSORFLOW)" $(if $(GPU),--gpu)
	@touch $@

# One process more than two cores: now and then each waits for a process that it started.
test: setup
	$(ACTIVATED) pytest -n 3 --no-loadscope-reorder --timeout 400 --most-starts $(MOST_STARTS) -m "not slurm and not faults and not slow and not browser and not gpu"

# All of them; SLURM_TESTS="slurm and not slow" leaves out what waits for time limits and requeued jobs.
SLURM_TESTS := slurm
test-slurm: setup
	$(ACTIVATED) pytest --timeout 900 -m "$(SLURM_TESTS)"

# The report in Chromium (Debian: apt-get install chromium); nothing else is downloaded than two Python packages.
test-browser: setup
	$(BIN)/python -m pip install --quiet --constraint "$(CONSTRAINTS)" $(BROWSER)
	$(ACTIVATED) pytest --timeout 300 -m browser tests/browser

test-slow: setup
	$(ACTIVATED) pytest -m "slow and not slurm and not gpu"

# TensorFlow's GPU package (1.8 GB) over a driver that is a stand-in, for machines without a GPU: what is seen, placed,
# copied, exchanged and refused there. GPU_TESTS="gpu and not slow" leaves out whole plans and failing allocations.
PRETENDED := build/pretended
GPU_TESTS := gpu
test-gpu-pretended: setup $(PRETENDED)/driver/libcuda.so.1
	$(ACTIVATED) BATCHSCALE_PRETENDED="$(abspath $(PRETENDED))" pytest -m "$(GPU_TESTS)" tests/gpu

$(PRETENDED)/driver/libcuda.so.1: $(wildcard tests/support/pretended_gpu/*) $(READY)
	test -f $(PRETENDED)/site/pynvml.py || $(BIN)/python -m pip install --quiet --no-deps \
		--constraint "$(CONSTRAINTS)" --target $(PRETENDED)/site tensorflow nvidia-ml-py
	$(BIN)/python tests/support/pretended_gpu/build.py $(PRETENDED)/site $(PRETENDED)/driver

test-faults: setup
	$(ACTIVATED) pytest -m faults

# Studies with known truth, from records to the number that is printed: what the intervals cover.
accuracy: setup
	$(ACTIVATED) PYTHONPATH=tests python -m simulation.table --studies 300

# Three times in a row, each in another random order whose seed is printed.
test-three-times: setup
	$(ACTIVATED) PYTHONPATH=tests python -m soak.three_times

# Hostile plans, records and imports for a bounded time; and many kills of one sweep (an hour).
fuzz: setup
	$(ACTIVATED) PYTHONPATH=tests python -m soak.fuzz --seconds 60 --count 10000

reliability: setup
	$(ACTIVATED) PYTHONPATH=tests python -m soak.reliability --faults 200 --runs 50 --longest-wait 8 --summary tests/soak/RELIABILITY.md

# By the links, through which pytest finds the package that the modules belong to.
bench: setup types
	$(ACTIVATED) pytest build/types/batchscale/benchmarks/micro --benchmark-autosave --benchmark-columns=min,median,max,rounds

bench-fit: setup
	$(ACTIVATED) python -m batchscale.benchmarks.micro.against_fit.loop

# On a machine with GPUs: what they do, training against `fit` and hand-written loops, and ResNet-50 over all of them,
# in one file to be sent, batchscale-gpu.json. ON_GPUS="--tiny --replicas 1,2" tries the training's half on a CPU.
ON_GPUS :=
bench-gpu: setup
	$(if $(ON_GPUS),,$(ACTIVATED) batchscale doctor --gpu)
	$(ACTIVATED) python -m batchscale.benchmarks.micro.against_fit.on_gpus $(ON_GPUS)

# What many ranks and many runs cost beside the training: no step may grow faster than the number of ranks.
at-scale: setup
	$(ACTIVATED) PYTHONPATH=tests python -m soak.ranks_at_scale
	$(ACTIVATED) PYTHONPATH=tests python -m soak.report_scale

# The time of keras_batching's accuracy part by this suite and by model.fit: half an hour.
bench-study: setup
	$(ACTIVATED) python -m batchscale.benchmarks.micro.against_fit.study

# sdist and wheel into dist/, from what is committed, with all that a study needs; checked as an index checks them.
wheel: setup
	rm -rf dist build/clean && git clone --quiet . build/clean
	$(BIN)/python -m pip install --quiet build twine
	$(BIN)/python -m build --outdir dist build/clean
	$(BIN)/twine check --strict dist/*
	rm -rf build/clean

# The docs as a site, build/site/index.html: warnings and links that lead nowhere are errors. REPORTS: results folders
# whose whole reports the gallery links to. The rest of what is installed executes the notebook (docs/first-study.ipynb).
docs: setup
	$(BIN)/python -m pip install --quiet --constraint "$(CONSTRAINTS)" sphinx myst-parser nbclient ipykernel
	$(ACTIVATED) python -m batchscale.launchers.site.build build/site $(REPORTS)

# The tables of docs/reference.md, from the code.
reference: setup
	$(BIN)/python -m batchscale.launchers.reference > docs/reference.md

# The packages are mapped by setup.cfg; mypy sees the mapping through links that git ignores, and
# tests as pytest does, each file a top-level module.
types:
	@rm -rf build/types && mkdir -p build/types/batchscale
	@cd build/types/batchscale && ln -s $(PACKAGES:%=../../../%) ../../../launchers/python/top/__init__.py* .

lint: setup types
	$(BIN)/flake8
	MYPYPATH=build/types:tests $(BIN)/mypy $(PACKAGES:%=build/types/batchscale/%) tests

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .benchmarks .hypothesis
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
