// The inverse of the normal distribution function. Aims, in this order: the same bits everywhere, accuracy, speed.
// The first rules out the C library's functions, of which only the square root is correctly rounded
// (and is why the library is linked).

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The x for which a standard normal variable is below x with probability `p`, 0 < p < 1, to a relative error of
/// about 1e-15.
///
/// Rational functions of degree 7 in q² (q = p − ½) for |q| ≤ 0.425 and in r = √(−log min(p, 1 − p)) beyond, with
/// another pair of polynomials for r > 5. M. J. Wichura, "Algorithm AS 241: the percentage points of the normal
/// distribution", Applied Statistics 37 (1988), PPND16; the coefficients are the published ones.
func normalQuantile(_ p: Double) -> Double {
  let q = p - 0.5
  if q.magnitude <= 0.425 {
    let r = 0.180625 - q * q
    return q
      * horner(
        r, 3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
        4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3)
      / horner(
        r, 1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
        3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3)
  }
  var r = (-logarithm(q < 0 ? p : 1 - p)).squareRoot()
  let magnitude: Double
  if r <= 5 {
    r -= 1.6
    magnitude =
      horner(
        r, 1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
        1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4)
      / horner(
        r, 1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
        1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9)
  } else {
    r -= 5
    magnitude =
      horner(
        r, 6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
        2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7)
      / horner(
        r, 1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
        7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15)
  }
  return q < 0 ? -magnitude : magnitude
}

/// c0 + c1 x + … + c7 x⁷.
@inline(__always)
private func horner(
  _ x: Double, _ c0: Double, _ c1: Double, _ c2: Double, _ c3: Double, _ c4: Double, _ c5: Double, _ c6: Double,
  _ c7: Double
) -> Double {
  ((((((c7 * x + c6) * x + c5) * x + c4) * x + c3) * x + c2) * x + c1) * x + c0
}

/// log x for a normal x > 0, to 2 units in the last place where |log x| ≥ ½, as it is in the tails.
///
/// x = 2ᵉ m with ½√2 ≤ m < √2, and log m = 2 artanh s with s = (m − 1)/(m + 1), |s| < 0.172: the series
/// s + s³/3 + s⁵/5 + … is cut after s²¹, whose successor is below 2⁻⁵⁹ s.
private func logarithm(_ x: Double) -> Double {
  var exponent = Double(x.exponent)
  var m = x.significand
  if m > 1.4142135623730951 {
    m *= 0.5
    exponent += 1
  }
  let s = (m - 1) / (m + 1)
  let s2 = s * s
  var series = 0.0
  for k in (0...10).reversed() { series = series * s2 + 1 / Double(2 * k + 1) }
  return exponent * 0.69314718055994530942 + 2 * s * series
}
