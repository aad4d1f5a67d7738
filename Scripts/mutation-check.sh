#!/bin/bash
# Breaks the library on purpose, one line at a time, and expects the tests to notice.
#
#   Scripts/mutation-check.sh              all defects, about half a minute each on two cores
#   Scripts/mutation-check.sh clamp        those whose description matches "clamp", a regular expression
#
# Works in a copy under $TMPDIR that holds the library and the three test targets that need no command; the working tree stays as it is.
# A defect counts as caught if the package still compiles and a test fails or stops. Exit code 1 if one survives.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
only=${1:-}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z Sources Tests | xargs -0 cp --parents -t "$copy"
cd "$copy"
rm -rf Sources/PCExperiments Sources/pcgraph
sed -i '/PCExperiments/d' Sources/PredictiveCoding/PredictiveCoding.swift

# The manifest without the command and what only it needs, so that one build takes seconds.
cat > Package.swift <<'MANIFEST'
// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "mutated",
  targets: [
    .target(name: "PCPrimitives"),
    .target(name: "PCGraphs", dependencies: ["PCPrimitives"]),
    .target(name: "PCLayers", dependencies: ["PCGraphs"]),
    .target(name: "PCModels", dependencies: ["PCLayers"]),
    .target(name: "PCRandomness"),
    .target(name: "PCKernels", dependencies: ["PCPrimitives", "PCRandomness"]),
    .target(name: "PCKernelsC"),
    .target(name: "PCKernelsCPU", dependencies: ["PCKernels", "PCKernelsC"]),
    .target(name: "PCInterchange"),
    .systemLibrary(name: "PCZlib", pkgConfig: "zlib"),
    .target(name: "PCDigits"),
    .target(name: "PCNames"),
    .target(name: "PCDatasets", dependencies: ["PCRandomness", "PCInterchange", "PCDigits", "PCNames", "PCZlib"]),
    .target(name: "PCPlans", dependencies: ["PCGraphs", "PCKernels"]),
    .target(name: "PCLearning", dependencies: ["PCPlans", "PCDatasets", "PCInterchange"]),
    .target(name: "PredictiveCoding", dependencies: ["PCLearning", "PCModels", "PCKernelsCPU"]),
    .testTarget(name: "PCGraphsTests", dependencies: ["PredictiveCoding"]),
    .testTarget(name: "PCKernelsTests", dependencies: ["PredictiveCoding"]),
    .testTarget(name: "PCLearningTests", dependencies: ["PredictiveCoding"], resources: [.copy("Fixtures")]),
  ]
)
MANIFEST

build() { swift build -c release --build-tests > build.log 2>&1; }
run_tests() { timeout 300 swift test -c release --skip-build --disable-xctest --filter "$1" > test.log 2>&1; }

build || { echo "the copy does not build:"; grep error: build.log; exit 1; }
run_tests "RandomGraphTests|OperationHarnessTests|FixtureTests|CertificateTests|OptimizerTests|TrainerTests|DrawingTests|ShapeTests|VertexTests" \
  || { echo "the tests fail without any defect:"; grep "recorded an issue" test.log | head; exit 1; }

survivors=0
count=0
printf '%-9s %-64s %s\n' verdict defect "tests"

# mutate DESCRIPTION FILE TESTS FROM TO
mutate() {
  local what=$1 file=Sources/$2 tests=$3 from=$4 to=$5 verdict
  [[ $what =~ $only ]] || return 0
  count=$((count + 1))
  local before after
  before=$(cat "$file"; echo .)
  after=${before/"$from"/"$to"}
  if [[ $after == "$before" ]]; then
    verdict="NOT FOUND"
  else
    printf %s "${after%.}" > "$file"
    if ! build; then
      verdict="NO BUILD"
    elif run_tests "$tests"; then
      verdict=SURVIVED
    else
      verdict=caught
    fi
    printf %s "${before%.}" > "$file"
  fi
  [[ $verdict == caught ]] || survivors=$((survivors + 1))
  printf '%-9s %-64s %s\n' "$verdict" "$what" "$tests"
}

# MARK: Rules
mutate "relaxed vertices updated in reverse order (Gauss–Seidel)" PCLearning/Rules/FixedPredictions.swift stepwiseIsClosedForm \
  'in inBlock where !' 'in inBlock.reversed() where !'
mutate "no closing sweep: parameters read the last step's messages" PCLearning/Rules/FixedPredictions.swift stepwiseIsClosedForm \
  'closing.messages[vertex] = plan.message(of: vertex, from: closing)' 'closing.messages[vertex] = sweep.messages[vertex]'
mutate "messages do not decay" PCLearning/Rules/Rule.swift stepwiseIsClosedForm '"decay": 1 - rate' '"decay": 1'
mutate "clamped elements move during stepwise inference" PCLearning/Rules/FixedPredictions.swift stepwiseIsClosedForm \
  '        keepClamped(vertex, message, plan)' '        _ = vertex'
mutate "a path crosses clamped elements in the closed form" PCLearning/Rules/ClosedForm.swift stepwiseIsClosedForm \
  'clamp == nil ? sum : plan.clamping(vertex, sum) { _ in plan.zero(like: vertex) }' 'sum'
mutate "terms are pooled without regard to what lies above" PCLearning/Rules/FixedPredictions.swift stepwiseIsClosedForm \
  'certificate.shortfall(depth + ancestors)' 'certificate.shortfall(depth + 0 * ancestors)'
mutate "standard: predictions stay at their feedforward values" PCLearning/Rules/StandardPredictiveCoding.swift standardPredictive \
  $'let value = plan.value(of: vertex)\n        let prediction = plan.predict(vertex)' \
  $'let value = plan.value(of: vertex)\n        let prediction = plan.prediction(of: vertex)'
mutate "standard: a vertex ignores its own error" PCLearning/Rules/StandardPredictiveCoding.swift standardPredictive \
  'alpha: minusRate, beta: .one' 'alpha: .zero, beta: .one'
mutate "the certificate counts one depth too many" PCLearning/Certificate.swift CertificateTests \
  'return (0..<depth).reduce' 'return (0...depth).reduce'

# MARK: Plans and graphs
mutate "repeated parents count once" PCPlans/Sweep.swift equilibriumIsBackprop \
  'sent[operand, default: []].append(back)' 'sent[operand] = [back]'
mutate "the weight of a loss is left out of its message" PCPlans/PlanBuilder.swift equilibriumIsBackprop \
  'return loss.weight == 1 ? message : emit.scale(message, by: loss.weight)' 'return message'
mutate "fusing does not look at who else reads" PCPlans/Passes.swift stepwiseIsClosedForm \
  'guard uses[source.buffer] == 2' 'guard uses[source.buffer] >= 2'
mutate "sums over examples overtake what they read" PCPlans/Passes.swift PassTests \
  'reads.allSatisfy { !lateWrites.contains($0) }' 'reads.allSatisfy { _ in true }'
mutate "a hoisted value forgets its coefficient" PCGraphs/Lowering/Emitter.swift equilibriumIsBackprop \
  'isBatched: isBatched, alpha: alpha)' 'isBatched: isBatched, alpha: .one)'
mutate "a clamped vertex passes on the depths below it" PCGraphs/Graph+Depths.swift VertexTests \
  'isWhollyClamped ? [] : Set' 'false ? [] : Set'
mutate "reshaping puts the batch's factors the wrong way round" PCGraphs/Operations/Structural.swift ShapeTests \
  '.batch(outer: slower / before, inner: axes[place].extent / (slower / before))' \
  '.batch(outer: axes[place].extent / (slower / before), inner: slower / before)'
mutate "the slope of the root lacks its half" PCGraphs/Operations/Pointwise.swift OperationHarnessTests \
  'alpha: .constant(0.5)' 'alpha: .constant(1)'
mutate "the slope of a quotient lacks its sign" PCGraphs/Operations/Arithmetic.swift OperationHarnessTests \
  'alpha: .constant(-1)' 'alpha: .constant(1)'

# MARK: Kernels
mutate "Reference: of equal maxima the last wins" PCKernels/Reference.swift OperationHarnessTests \
  'candidate > best ||' 'candidate >= best ||'
mutate "CPU: of equal maxima the last wins" PCKernelsC/reductions.h OperationHarnessTests \
  '(candidate > best)' '(candidate >= best)'
mutate "CPU: softmax without its largest element" PCKernelsC/reductions.h FixtureTests \
  'exponential(element - largest)' 'exponential(element)'
mutate "CPU: the last examples overwrite the sum of the others" PCKernelsC/products.h OperationHarnessTests \
  'first_beta = 1;' 'first_beta = 0;'
mutate "CPU: the filter's gradient keeps its last product alone" PCKernelsC/convolutions.h OperationHarnessTests \
  'sum[o][c] += m * v[c];' 'sum[o][c] = m * v[c];'

# MARK: Training
mutate "Adam without the correction of its second moment" PCLearning/Optimizers/Adam.swift OptimizerTests \
  'learningRate * correction2 / correction1' 'learningRate / correction1'
mutate "clipping by norm lengthens short gradients" PCLearning/Optimizers/Optimizer.swift OptimizerTests \
  'emit.combine(.minimum, ratio' 'emit.combine(.maximum, ratio'
mutate "the mean over examples is a sum" PCLearning/Training/Trainer.swift OptimizerTests \
  'self == .sum ? 1 : 1 / Double(batchSize)' 'self == .sum ? 1 : 1 / Double(min(batchSize, 1))'
mutate "parameters move although the loss is not finite" PCLearning/Training/Trainer.swift TrainerTests \
  'executable.run(plan.script(rule.schedule.phases, steps: rule.schedule.steps))' \
  'executable.run(plan.script(rule.schedule.phases + [.update], steps: rule.schedule.steps))'
mutate "all parameters are drawn from one stream" PCLearning/Network.swift DrawingTests \
  'RandomStream(seed: seed, "parameters", name)' 'RandomStream(seed: seed, "parameters")'

echo "$((count - survivors)) of $count defects caught"
((survivors == 0))
