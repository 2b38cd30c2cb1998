# doseloop: every target sets up what it needs in .venv, also from a fresh clone.
#   PYTHON=python3.12        another Python (3.10 or newer) for .venv
#   MICROPYTHON=/path/to/it  another build of the MicroPython unix port
#   MICROPYTHON_DIR=/path    a MicroPython checkout with its submodules, to build images from
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
SCENARIO ?= hil/scenarios/night-flex-spinal.toml
OUT ?= build/bench
PYTHON_CAMPAIGN ?= $(PYTHON)
N ?= 20000
EVENTS ?= 60
SEED ?= 1
FIRST ?= 0
JOBS ?= 2
SECONDS ?= 60
BOARD ?= pico
STRIDE ?= 1
AGAIN ?= 3
CUTS ?= 300
export MICROPYTHON_DIR

.PHONY: help emulated emulated-long bench test lint types contracts pytest scenarios campaign faults hostile fuzz fuzz-tools trace benchmark mutation mutation-ci equal contract smoke image image-tools flash emulated-tests emulated-tests-long clean browser-tests pictures kill fuzz-files metrology powercut wear docs labgrid-tests
.DEFAULT_GOAL := help

help:
	@echo "make bench      run the main scenario on the unix port; report in $(OUT)/"
	@echo "make test       lint, types, import contracts, host tests"
	@echo "make scenarios  run every scenario under hil/scenarios/"
	@echo "make trace      requirement -> where enforced -> tests -> strength; build/trace/trace.html"
	@echo "make campaign   N=$(N) random histories through the firmware's rules and the bench's oracle; they must agree (2 to 3 minutes)"
	@echo "make hostile    N=$(N) hostile lines against the running firmware: no reset, no step, no growth, every answer (a minute; N=1000000: some 20)"
	@echo "make fuzz       the parsers and handlers fuzzed by coverage for SECONDS=$(SECONDS) with atheris (Linux x86-64, Python 3.11 or newer)"
	@echo "make faults     50 faults of the device, alone and two at once, at three rates: each found in time, the pump's answer right (2 minutes)"
	@echo "make kill       kill the pump's process, its host, the bytes on its line and its cable, 1,000 times and more; SHARE=1: a fixed part"
	@echo "make fuzz-files N=2000  files that people give, made wrong in every way: a sentence and exit 2, and nothing written elsewhere"
	@echo "make metrology  mass logs with known answers through the bench's metrology: recovered against true (half a minute); build/metrology/"
	@echo "make benchmark  print the speed and memory table, and how a campaign scales over the cores (pytest-xdist)"
	@echo "make benchmark BOARD=emulated  the same of the Pico's image on an emulated Pico (about 5 minutes)"
	@echo "make mutation   break the firmware in small ways, one at a time; every mutant must be seen (MODULES=\"port label\": only these)"
	@echo "make mutation-ci  a fixed share of that (about 3 minutes)"
	@echo "make powercut   the firmware's flash loses power at every operation of a story, three ways, and again in each start that follows (some 26,000 cuts)"
	@echo "make powercut BOARD=emulated  the same on an emulated Pico's flash, CUTS=$(CUTS) cuts"
	@echo "make wear       erases a day of the journal at 1 mL/h and 1 mL a day, and the years that makes"
	@echo "make equal      the same cases on CPython and MicroPython: every answer equal"
	@echo "make equal BOARD=unix32    the same on the unix port built for 32 bits: small ints of 31 bits, single floats, as on a Pico"
	@echo "make equal BOARD=emulated  a fixed share of it on an emulated Pico (minutes; all of it, SHARE=100, takes hours)"
	@echo "make contract   the same questions to every board family's hal: unix, rp2 emulated, esp32 and stm32 over fakes"
	@echo "make smoke      build the Pico image, boot it on an emulated Pico, talk to it (about 5 minutes the first time)"
	@echo "make image BOARD=$(BOARD)  build MicroPython with the firmware frozen in; prints the UF2 to copy (BOARD=pico or pico2)"
	@echo "make flash BOARD=$(BOARD)  install on a board that runs MicroPython already (PORT=/dev/ttyACM0 if there are several)"
	@echo "make emulated-tests  the hal's contract and what a board says at start, on an emulated Pico; emulated-tests-long: flashing, MAINT, a stray 0x03, heap loaded from files"
	@echo "make emulated   the flashed image through its scenarios on emulated Picos; emulated-long: those that take long"
	@echo "make browser-tests  the report, the comparison and the live page in the machine's chromium, at two widths"
	@echo "make labgrid-tests  a place acquired from a labgrid coordinator, a suite run on its simulated bench, released (in $(VENV)-labgrid)"
	@echo "make pictures   docs/report.png, metrology.png, live.png, and build/pictures/ to look at before a release (needs chromium)"
	@echo "make docs       docs/wire.md from the verb table, docs/alarms.md from the alarm table (make test says if they are stale)"
	@echo "make clean      remove .venv and build/"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "doseloop needs Python 3.10 or newer: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "no virtual environment could be made: on Debian or Ubuntu, apt-get install python3-venv" >&2; exit 2; }

# One stamp for each set of dependencies; a change of pyproject.toml installs them again.
$(VENV)/.bench $(VENV)/.dev $(VENV)/.pico $(VENV)/.mutation $(VENV)/.fuzz $(VENV)/.browser: $(VENV)/.%: pyproject.toml | $(PY)
	@echo "installing what '$*' needs into $(VENV)"
	@$(PY) -m pip install -qq --disable-pip-version-check -e '.[$(EXTRAS_$*)]'
	@touch $@
EXTRAS_bench := bench
EXTRAS_dev := bench,dev
EXTRAS_pico := bench,pico
EXTRAS_mutation := bench,dev,mutation
EXTRAS_fuzz := bench,dev,fuzz
EXTRAS_browser := bench,dev,browser

bench: $(VENV)/.bench
	$(PY) -m hil run $(SCENARIO) --target unix --out $(OUT)

test: lint types contracts pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(PY) tools/check_integers.py firmware

# Host code by its annotations; the boards' hals, which have none, by the stubs of their MicroPython ports.
types: $(VENV)/.dev
	$(BIN)/mypy
	$(PY) tools/port_types.py

contracts: $(VENV)/.dev
	PYTHONPATH=firmware:. $(BIN)/lint-imports --no-cache

pytest: $(VENV)/.dev
	$(PY) -m pytest -n 2 host_tests

scenarios: $(VENV)/.bench
	$(PY) tools/scenarios.py --out build/scenarios

trace: $(VENV)/.dev
	$(PY) -m tools.tracing

# Each fault of the device at three rates, and two at once: found in its requirement's time? Does the pump do what it must?
faults: $(VENV)/.bench
	$(PY) -m tools.faults $(if $(RATE),--rate $(RATE)) $(if $(FAULT),"$(FAULT)")

# The rules of the firmware beside the oracle; standard library alone, so any Python from 3.9 on will do (PyPy too).
campaign:
	PYTHONPATH=firmware:.:host_tests $(PYTHON_CAMPAIGN) -m campaign -n $(N) --events $(EVENTS) --seed $(SEED) --first $(FIRST) --jobs $(JOBS)

metrology: $(VENV)/.bench
	$(PY) tools/metrology.py

# Hostile lines against the firmware as it runs, on the unix port; the same SEED makes the same lines.
hostile: $(VENV)/.dev
	$(PY) -m tools.hostile -n $(N) --seed $(SEED)

# Can atheris be had here? It is built for Linux on x86-64 and Python 3.11 or newer.
fuzz-tools: $(PY)
	@$(MAKE) -s $(VENV)/.fuzz && $(PY) -c "import atheris" || \
		{ echo "no atheris on this machine: Linux on x86-64 with Python 3.11 or newer has it (make PYTHON=python3.11 ...)" >&2; exit 2; }

# New inputs go to build/fuzz/corpus; python -m fuzz.keep takes over what reached something new.
fuzz: fuzz-tools
	@mkdir -p build/fuzz/corpus
	PYTHONPATH=firmware:.:host_tests $(PY) -m fuzz -max_total_time=$(SECONDS) -max_len=600 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=build/fuzz/ build/fuzz/corpus host_tests/fuzz/corpus

# The unix port in virtual time; its process is killed before system calls (ptrace, on Linux) and by a timer. About 15 minutes.
kill: $(VENV)/.bench
	$(PY) -m tools.killing $(if $(SHARE),--share)

fuzz-files: $(VENV)/.dev
	DOSELOOP_FUZZ=$(if $(filter file,$(origin N)),2000,$(N)) $(PY) -m pytest -q -p no:cacheprovider host_tests/test_given_files.py

benchmark: $(VENV)/.$(if $(filter emulated,$(BOARD)),pico,dev)
	$(PY) tools/benchmark$(if $(filter emulated,$(BOARD)),_emulated).py

# An interrupted run goes on where it was: results are kept in build/mutation.
mutation: $(VENV)/.mutation
	$(PY) -m tools.mutation $(MODULES)

mutation-ci: $(VENV)/.mutation
	$(PY) -m tools.mutation --ci

equal: $(VENV)/.$(if $(filter emulated unix32,$(BOARD)),pico,bench)
	$(PY) tools/equal.py $(addprefix --on ,$(filter emulated unix32,$(BOARD))) $(addprefix --share ,$(SHARE))

# STRIDE=N: at every Nth operation only. AGAIN=N: further cuts in each start that follows one.
powercut: $(VENV)/.$(if $(filter emulated,$(BOARD)),pico,bench)
	$(PY) tools/powercut.py --jobs $(JOBS) $(if $(filter emulated,$(BOARD)),--board emulated --cuts $(CUTS),--stride $(STRIDE) --again $(AGAIN))

wear: $(VENV)/.bench
	$(PY) tools/wear.py

image: $(VENV)/.pico
	$(PY) tools/image.py --board $(BOARD)

# Can an image be built here? Fetches compilers and sources if they can be had; exit 2 and what is missing if not.
image-tools: $(VENV)/.pico
	$(PY) tools/image.py --check-tools

# Over a board's own MicroPython: make flash BOARD=pico PORT=/dev/ttyACM0 (PORT only if several boards are on USB)
flash: $(VENV)/.pico
	$(PY) tools/flash.py --board $(BOARD) $(if $(PORT),--port $(PORT)) $(if $(KEY_FILE),--key-file $(KEY_FILE))

# The tests that run an image on an emulated Pico; `make pytest` skips them. The long ones transfer files or talk for minutes,
# and print what a person wants to see of it.
emulated-tests: $(VENV)/.pico $(VENV)/.dev
	$(PY) tools/image.py --manifest boards/pico/manifest_parts.py
	DOSELOOP_EMULATED=1 $(PY) -m pytest -n 2 --dist loadgroup -m "emulated and not slow" host_tests

emulated-tests-long: $(VENV)/.pico $(VENV)/.dev
	DOSELOOP_EMULATED=1 $(PY) -m pytest -n 2 -rP -m "emulated and slow" host_tests

# One suite for every hal: unix, rp2 (on an emulated Pico, whose image is built), esp32 and stm32 (over fakes).
contract: $(VENV)/.pico $(VENV)/.dev
	$(PY) tools/image.py --manifest boards/pico/manifest_parts.py
	DOSELOOP_EMULATED=1 $(PY) -m pytest -n 2 --dist loadgroup host_tests/contract

smoke: $(VENV)/.pico
	$(PY) tools/smoke.py

emulated: $(VENV)/.pico
	$(PY) tools/emulated.py

emulated-long: $(VENV)/.pico
	$(PY) tools/emulated.py --long --out build/emulated-long

# Where no chromium can be had they are skipped, and say so.
browser-tests: $(VENV)/.browser
	$(PY) -m pytest -rs host_tests/test_browser.py

# labgrid brings a pyserial of its own, which would overwrite ours: it has an environment of its own.
$(VENV)-labgrid/.labgrid: pyproject.toml
	@echo "installing labgrid into $(VENV)-labgrid"
	@$(PYTHON) -m venv $(VENV)-labgrid
	@$(VENV)-labgrid/bin/python -m pip install -qq --disable-pip-version-check -e '.[bench,labgrid]'
	@$(VENV)-labgrid/bin/python -m pip uninstall -qq -y pyserial
	@$(VENV)-labgrid/bin/python -m pip install -qq --disable-pip-version-check --force-reinstall --no-deps \
		$$(sed -n 's/.*"\(pyserial-labgrid==[^"]*\)".*/\1/p' pyproject.toml)
	@touch $@

labgrid-tests: $(VENV)/.dev
	@$(MAKE) --no-print-directory $(VENV)-labgrid/.labgrid || printf '%s\n' "" "##########################################################" \
		"# LABGRID: NOT RUN. It could not be installed: above stands why." "##########################################################" ""
	DOSELOOP_LABGRID=$(VENV)-labgrid/bin $(PY) -m pytest -rs -n 2 host_tests/test_labgrid.py

docs: $(VENV)/.bench
	$(PY) -m tools.pages

pictures: $(VENV)/.browser
	$(PY) tools/pictures.py

clean:
	rm -rf $(VENV) $(VENV)-labgrid build .mypy_cache .ruff_cache .pytest_cache .hypothesis
