#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Numbers as text, the same on every machine and in every locale.
public enum NumberText {
  /// `value` with exactly `places` digits after the point: `fixed(0.5, places: 2)` is `0.50`.
  ///
  /// Halves round away from zero; a value that rounds to zero has no sign. Values of 2⁵³ and more (in units of the last
  /// place) and non-finite ones are printed as Swift prints them.
  public static func fixed(_ value: Double, places: Int) -> String {
    let scaled = (value.magnitude * powerOfTen(places)).rounded()
    guard scaled < 0x1p53 else { return value.isNaN ? "nan" : "\(value)" }
    return decimal((value < 0 ? -1 : 1) * Int(scaled), exponent: -places)
  }

  /// `value` to `digits` significant digits, without trailing zeros: `significant(1.90e-7, digits: 3)` is `1.9e-7`.
  ///
  /// An exponent appears below 10⁻⁴ and from 10⁶ on, where counting zeros gets harder than reading it.
  public static func significant(_ value: Double, digits: Int = 3) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : value.isNaN ? "nan" : "\(value)" }
    var exponent = decimalExponent(value)
    // 9.996 to three digits is 10.0: the rounding itself can reach the next decade.
    if (value.magnitude / powerOfTen(exponent - digits + 1)).rounded() >= powerOfTen(digits) { exponent += 1 }
    guard -4..<6 ~= exponent else {
      return withoutTrailingZeros(fixed(value / powerOfTen(exponent), places: digits - 1)) + "e\(exponent)"
    }
    let places = digits - 1 - exponent
    guard places < 0 else { return withoutTrailingZeros(fixed(value, places: places)) }
    let unit = powerOfTen(-places)
    return fixed((value / unit).rounded() * unit, places: 0)
  }

  /// `digits · 10^exponent` in plain decimal notation, exactly.
  static func decimal(_ digits: Int, exponent: Int) -> String {
    let sign = digits < 0 ? "-" : ""
    var text = String(digits.magnitude)
    if exponent > 0 && digits != 0 { text += String(repeating: "0", count: exponent) }
    if exponent < 0 {
      text = String(repeating: "0", count: max(0, 1 - exponent - text.count)) + text
      text.insert(".", at: text.index(text.endIndex, offsetBy: exponent))
    }
    return sign + text
  }

  /// Turns the hyphen of a negative number into a minus sign and sets off thousands by thin spaces from 10 000 on.
  static func typeset(_ number: String) -> String {
    let body = number.drop { $0 == "-" }
    let whole = body.prefix { $0.isNumber }
    var grouped = String(whole)
    if whole.count > 4 {
      for offset in stride(from: whole.count - 3, to: 0, by: -3) {
        grouped.insert("\u{2009}", at: grouped.index(grouped.startIndex, offsetBy: offset))
      }
    }
    return (body.count < number.count ? "−" : "") + grouped + body.dropFirst(whole.count)
  }

  static func withoutTrailingZeros(_ number: String) -> String {
    guard number.contains(".") else { return number }
    var result = Substring(number)
    while result.last == "0" { result.removeLast() }
    if result.last == "." { result.removeLast() }
    return String(result)
  }

  static func powerOfTen(_ exponent: Int) -> Double { pow(10, Double(exponent)) }

  static func decadeLogarithm(_ value: Double) -> Double { log10(value) }

  /// The largest k with 10ᵏ ≤ |value|, for a finite value other than 0.
  static func decimalExponent(_ value: Double) -> Int {
    let exponent = Int(log10(value.magnitude).rounded(.down))
    // log10 may land on the wrong side of an integer by one rounding.
    if powerOfTen(exponent) > value.magnitude { return exponent - 1 }
    return powerOfTen(exponent + 1) <= value.magnitude ? exponent + 1 : exponent
  }
}

extension String {
  /// With its first letter in upper case.
  var asSentence: String { prefix(1).uppercased() + dropFirst() }
}
