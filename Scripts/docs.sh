#!/usr/bin/env bash
# Builds one DocC site over all public modules into docs-site/; a warning or a public symbol without text is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
modules=(
  PredictiveCoding PCPrimitives PCGraphs PCLayers PCModels PCRandomness PCKernels PCKernelsCPU PCPlans PCInterchange
  PCDatasets PCLearning PCExperiments PCDifferentiable
)
export PC_DOCS=1
package=(swift package --scratch-path .build-docs)

# The command fails on the tests' modules, which have no graph, so its status says nothing: the checks below do.
graphs=$(swift build --scratch-path .build-docs --show-bin-path)/../symbolgraph
rm -rf "$graphs"
"${package[@]}" dump-symbol-graph --minimum-access-level public --skip-synthesized-members >.build-docs.log 2>&1 || true
[ -d "$graphs" ] || { cat .build-docs.log && exit 1; }
python3 Scripts/check-documentation.py "$graphs" "${modules[@]}"

targets=()
for module in "${modules[@]}"; do targets+=(--target "$module"); done
"${package[@]}" --allow-writing-to-directory docs-site \
  generate-documentation "${targets[@]}" --enable-experimental-combined-documentation --disable-indexing \
  --transform-for-static-hosting --warnings-as-errors --output-path docs-site
echo "docs-site/documentation/index.html lists all modules; serve the folder docs-site to read it"
