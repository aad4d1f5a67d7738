import PCDigits

/// In the published order, the last fifth as test.
func loadDigits() throws(DataError) -> DataSplit {
  let count = pc_digits_count
  let shape = [1, pc_digits_height, pc_digits_width]
  let all = try Dataset(
    name: NamedDataset.digits.rawValue,
    bytes: Array(UnsafeBufferPointer(start: pc_digits_pixels(), count: count * shape.reduce(1, *))),
    maximum: UInt8(pc_digits_maximum),
    labels: UnsafeBufferPointer(start: pc_digits_labels(), count: count).map(Int32.init), inputShape: shape,
    classes: 10)
  return try DataSplit(training: all.subset(0..<1437), test: all.subset(1437..<count))
}
