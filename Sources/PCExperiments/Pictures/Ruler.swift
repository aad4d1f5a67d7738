/// An axis: which values it spans, where its ticks are and what they say.
struct Ruler {
  struct Tick {
    let value: Double
    let label: String
    /// For a label such as 10⁻⁵, the exponent; `label` is then "10".
    var exponent: Int?
  }

  let low: Double
  let high: Double
  let ticks: [Tick]
  /// Values with a mark but no label.
  private(set) var minor: [Double] = []
  /// The ticks' labels are in units of 10 to this power.
  private(set) var exponent = 0
  private let isLogarithmic: Bool

  /// Whether an axis of this scale can show `value`. Beyond 10^±300 the arithmetic of ticks would overflow.
  static func shows(_ value: Double, on scale: LineChart.Scale) -> Bool {
    switch scale {
    case .linear: value.magnitude < 1e300
    case .logarithmic: value > 1e-300 && value < 1e300
    }
  }

  /// The smallest span between ticks that contains all `values` that the scale can show, to 10⁻⁹ of a tick.
  ///
  /// - Parameters:
  ///   - count: about how many ticks there should be.
  ///   - whole: whether ticks are at whole numbers only if all values are whole: there is no epoch 2.5.
  init(covering values: [Double], on axis: LineChart.Axis, count: Int, whole: Bool = false) {
    let shown = (values + axis.including).filter { Self.shows($0, on: axis.scale) }
    switch axis.scale {
    case .linear: self.init(linear: shown, format: axis.format, count: count, whole: whole)
    case .logarithmic: self.init(logarithmic: shown, count: count)
    }
  }

  /// Where `value` lies between the ends, from 0 to 1.
  func position(_ value: Double) -> Double {
    guard isLogarithmic else { return (value - low) / (high - low) }
    let start = NumberText.decadeLogarithm(low)
    return (NumberText.decadeLogarithm(value) - start) / (NumberText.decadeLogarithm(high) - start)
  }
}

// MARK: Linear scale

extension Ruler {
  /// Ticks at whole multiples of 1, 2 or 5 times a power of ten.
  private init(linear values: [Double], format: LineChart.Format, count: Int, whole: Bool) {
    var low = values.min() ?? 0
    var high = values.max() ?? 1
    let magnitude = max(low.magnitude, high.magnitude)
    if high - low <= max(magnitude * 1e-12, 1e-290) {
      let room = magnitude < 1e-290 ? 1 : magnitude * 0.1
      low -= room
      high += room
    }

    var (mantissa, power) = Self.niceStep((high - low) / Double(max(count, 1)))
    if whole && power < 0 && values.allSatisfy({ $0 == $0.rounded() }) { (mantissa, power) = (1, 0) }
    // Written as a quotient of integers where it can be, a tick is the double nearest to what its label says.
    func value(_ multiple: Int) -> Double {
      let digits = Double(multiple * mantissa)
      return power < 0 ? digits / NumberText.powerOfTen(-power) : digits * NumberText.powerOfTen(power)
    }
    let step = value(1)
    let first = Int((low / step + 1e-9).rounded(.down))
    let last = Int((high / step - 1e-9).rounded(.up))

    var unit = 0
    if format == .number && (magnitude >= 1e6 || magnitude < 1e-3) && magnitude > 1e-290 {
      unit = Int((Double(NumberText.decimalExponent(magnitude)) / 3).rounded(.down)) * 3
    }
    self.low = value(first)
    self.high = value(last)
    isLogarithmic = false
    exponent = unit
    ticks = (first...last).map { multiple in
      let shift = format == .percent ? 2 : -unit
      let number = NumberText.decimal(multiple * mantissa, exponent: power + shift)
      return Tick(value: value(multiple), label: NumberText.typeset(number) + (format == .percent ? "%" : ""))
    }
  }

  /// The smallest m · 10ᵏ with m in {1, 2, 5} that is at least `span`.
  private static func niceStep(_ span: Double) -> (mantissa: Int, power: Int) {
    let power = NumberText.decimalExponent(span)
    let ratio = span / NumberText.powerOfTen(power)
    for mantissa in [1, 2, 5] where ratio <= Double(mantissa) * (1 + 1e-12) { return (mantissa, power) }
    return (1, power + 1)
  }
}

// MARK: Logarithmic scale

extension Ruler {
  /// Ticks at powers of ten; with few decades also at 2 and 5 times them, with many only at every second, third ….
  private init(logarithmic values: [Double], count: Int) {
    let low = values.min() ?? 1
    let high = values.max() ?? 1
    var first = NumberText.decimalExponent(low)
    var last = NumberText.decimalExponent(high)
    if NumberText.powerOfTen(last) < high { last += 1 }
    if first == last {
      first -= 1
      last += 1
    }
    let stride = (last - first + count) / (count + 1)
    let decades = Array(Swift.stride(from: first, through: last + stride - 1, by: stride))
    last = decades.last ?? last

    self.low = NumberText.powerOfTen(first)
    self.high = NumberText.powerOfTen(last)
    isLogarithmic = true
    let labelled = last - first <= 2 ? [1, 2, 5] : [1]
    let plain = first >= -3 && last <= 4
    ticks = decades.flatMap { decade in
      (decade == last ? [1] : labelled).map { digit in
        let value = Self.value(digit, decade)
        if plain { return Tick(value: value, label: NumberText.typeset(NumberText.decimal(digit, exponent: decade))) }
        return Tick(value: value, label: digit == 1 ? "10" : "\(digit) · 10", exponent: decade)
      }
    }
    if stride > 1 {
      minor = (first...last).filter { ($0 - first) % stride != 0 }.map(NumberText.powerOfTen)
    } else if last - first <= 6 {
      minor = (first..<last).flatMap { decade in
        (2...9).filter { !labelled.contains($0) }.map { Self.value($0, decade) }
      }
    }
  }

  private static func value(_ digit: Int, _ decade: Int) -> Double {
    decade < 0 ? Double(digit) / NumberText.powerOfTen(-decade) : Double(digit) * NumberText.powerOfTen(decade)
  }
}
