# make demo    learn digits by three rules; leaves demo/report.html
# make test    all tests
# make dist    dist/pcgraph, which needs no Swift where it runs
.PHONY: demo test build format lint docs bench dist requirements

demo: requirements
	swift build -c release --product pcgraph
	rm -rf demo
	.build/release/pcgraph compare --rules fixed,standard,backprop --model branching --dataset digits \
	  --epochs 15 --batch-size 32 --learning-rate 0.005 --seeds 3 --output demo

# In release: without optimisation the kernels are fifteen times slower.
test: requirements
	swift test -c release

build: requirements
	swift build -c release

format:
	./Scripts/lint.sh --fix

lint:
	./Scripts/lint.sh

docs: requirements
	./Scripts/docs.sh

bench: requirements
	swift run -c release --package-path Benchmarks

dist: requirements
	./Scripts/dist.sh

requirements:
	@./Scripts/require.sh
