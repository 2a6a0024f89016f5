# The app. Included by the Makefile at the top, whose folder is the current one.

ANDROID := build/android
# Models of the package: your own with `make apk MODELS="a.tflite b.tflite"`.
MODELS ?= build/demo/memcom_int8.tflite build/demo/uncompressed_float32.tflite
# A package whose checksum is missing or wrong ends the build.
MAVEN := mvn --batch-mode --quiet --strict-checksums --no-transfer-progress --file android_demo/pom.xml -Dkotlin.compiler.daemon=false

.PHONY: apk aar android-models android-test web-demo web-test bench-android android-clean

build/demo/memcom_int8.tflite build/demo/uncompressed_float32.tflite: build/demo/report.json ;

# Made anew where what is in a file has changed.
build/demo/report.json: converters/model_file/archive.py memcom_tf/vocabulary/encoding.py examples/movielens_demo.py
	$(MAKE) --no-print-directory demo

# The package takes its models from the app's assets; the tests their golden values from here.
android-models: $(INSTALLED) $(MODELS)
	rm -rf $(ANDROID)/models android_demo/app/src/main/assets/models
	mkdir -p $(ANDROID)/models android_demo/app/src/main/assets/models
	cp $(MODELS) $(ANDROID)/models
	cp $(MODELS) android_demo/app/src/main/assets/models
	for model in $(ANDROID)/models/*.tflite; do $(BIN)/memcom golden $$model || exit 1; done

apk: android-models
	android_demo/tools/install.sh build
	$(MAVEN) package -DskipTests
	android_demo/package.sh $(ANDROID)

# The library for other apps, in a Maven repository on disk.
aar:
	android_demo/tools/install.sh build
	$(MAVEN) package -DskipTests --projects ranker --also-make
	android_demo/publish.sh $(ANDROID)/maven

android-test: android-models
	android_demo/tools/install.sh test
	$(BIN)/python -m android_demo.tools.make_fixtures $(ANDROID)/fixtures
	$(MAVEN) package
	android_demo/package.sh $(ANDROID)
	android_demo/publish.sh $(ANDROID)/maven
	$(PYTEST) android_demo/apk_tests
	$(MAKE) --no-print-directory web-test

android_demo/web/node_modules: android_demo/web/package.json android_demo/web/package-lock.json
	android_demo/tools/install.sh web
	cd android_demo/web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

web-demo: android-models android_demo/web/node_modules
	cd android_demo/web && npm --silent start

# The pages alone need no browser; their tests do.
web-test: android-models android_demo/web/node_modules
	android_demo/tools/install.sh web_test
	cd android_demo/web && npm --silent test

# What the app's ranker costs with a catalogue of a million.
bench-android: apk
	$(BIN)/python -m benchmarks.android_ranking

bench: bench-android

android-clean:
	rm -rf android_demo/target android_demo/*/target android_demo/tools/*/target
	rm -rf android_demo/app/src/main/assets android_demo/web/node_modules android_demo/debug.keystore

clean: android-clean
