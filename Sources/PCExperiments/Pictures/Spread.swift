/// Positions as near as possible to the desired ones, in the same order and no closer than the gaps between them.
///
/// They minimise Σ wᵢ(xᵢ − desiredᵢ)² subject to xᵢ₊₁ − xᵢ ≥ gapsᵢ. Subtracting the summed gaps turns the constraint into
/// "ascending", which is isotonic regression; pooling adjacent violators solves it exactly in linear time (Barlow et al.,
/// *Statistical Inference under Order Restrictions*, 1972). Clamping that solution to a range solves the bounded problem.
///
/// - Parameters:
///   - weights: positive; one for each position.
///   - bounds: where the first position and the last may lie. If the gaps sum to more than that, the excess is at the end.
func spread(
  _ desired: [Double], gaps: [Double], weights: [Double], within bounds: ClosedRange<Double>? = nil
) -> [Double] {
  var offsets = [0.0]
  for gap in gaps { offsets.append((offsets.last ?? 0) + gap) }

  var blocks: [(mean: Double, weight: Double, count: Int)] = []
  for ((wish, weight), offset) in zip(zip(desired, weights), offsets) {
    var block = (mean: wish - offset, weight: weight, count: 1)
    while let previous = blocks.last, previous.mean >= block.mean {
      let weight = previous.weight + block.weight
      block.mean = (previous.mean * previous.weight + block.mean * block.weight) / weight
      block.weight = weight
      block.count += previous.count
      blocks.removeLast()
    }
    blocks.append(block)
  }

  var ascending = blocks.flatMap { Array(repeating: $0.mean, count: $0.count) }
  if let bounds {
    let highest = max(bounds.lowerBound, bounds.upperBound - (offsets.last ?? 0))
    ascending = ascending.map { min(max($0, bounds.lowerBound), highest) }
  }
  return zip(ascending, offsets).map(+)
}
