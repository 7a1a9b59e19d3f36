# A thin layer over Meson, for those who type make. Everything happens in $(BUILD).

BUILD = build
PREFIX = /usr/local
DESTDIR =
NINJA = ninja -C $(BUILD)

.PHONY: all deps check demo demo-host install screenshots format check-format sanitize fuzz bench clean

all: $(BUILD)/build.ninja
	@$(NINJA)

# As root this installs what is missing from tools/deps.txt, else it says what is.
deps:
	@tools/install-deps

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || tools/install-deps
	meson setup --prefix=$(PREFIX) $(BUILD)

check: deps
	@tests/run $(BUILD)

demo: deps $(BUILD)/build.ninja
	@$(NINJA) programs
	@tests/demo $(BUILD)

demo-host: deps $(BUILD)/build.ninja
	@$(NINJA) programs
	@tests/demo-host $(BUILD)

# The prefix is compiled in, so another one builds anew what holds it.
install: $(BUILD)/build.ninja
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@$(NINJA)
	DESTDIR="$(abspath $(DESTDIR))" meson install -C $(BUILD) --no-rebuild

# Roundcube as the documentation shows it, in docs/.
screenshots: deps
	@$(MAKE) --no-print-directory all
	NEWGATE_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -m pytest -p no:cacheprovider -q \
		tests/host/test_webmail.py -k 'read or attachment'
	cp $(BUILD)/host/screenshots/webmail-*.png docs/

format:
	@tools/format

check-format:
	@tools/format --check

# The unit and golden tests under the address and undefined behaviour sanitizers.
sanitize: deps
	@tests/run --only sanitize

# Each target for FUZZ_SECONDS; what it finds stays in build-fuzz.
FUZZ_SECONDS = 60
fuzz: deps
	@tests/fuzz/run $(FUZZ_SECONDS)

# Against the floor and the peers, which it installs: bench/run --list names the lines.
LINES =
bench: deps
	@$(MAKE) --no-print-directory all
	@bench/run --build $(BUILD) $(LINES)

clean:
	rm -rf $(BUILD) build-gcc build-clang build-sanitize build-fuzz
