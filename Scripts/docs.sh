#!/usr/bin/env bash
# Builds one DocC site over all public modules into docs-site/; a warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
modules=(
  PredictiveCoding PCPrimitives PCGraphs PCLayers PCModels PCRandomness PCKernels PCKernelsCPU PCPlans PCInterchange
  PCDatasets PCLearning PCExperiments
)
targets=()
for module in "${modules[@]}"; do targets+=(--target "$module"); done
PC_DOCS=1 swift package --scratch-path .build-docs --allow-writing-to-directory docs-site \
  generate-documentation "${targets[@]}" --enable-experimental-combined-documentation --disable-indexing \
  --transform-for-static-hosting --warnings-as-errors --output-path docs-site
echo "docs-site/index.html is written"
