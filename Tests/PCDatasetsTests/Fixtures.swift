// Files written by Python (numpy 2.4.6, safetensors 0.8.0), in base64.
//
//     import io, numpy as np
//     from safetensors.numpy import save
//     mixedSafetensors = save({
//       "b.bias": np.array([1.5, -2, 0.25], "<f4"), "a.weight": np.arange(6, dtype="<f8").reshape(2, 3) / 3,
//       "steps": np.array(7, "<i8"), "labels": np.array([[-1], [2**31 - 1]], "<i4"),
//       "pixels": np.array([0, 255], "u1"), "mask": np.array([True, False, True]),
//       "empty": np.zeros((0, 4), "<f4"),
//     }, metadata={"seed": "7", "é \"quoted\"": "line\nbreak"})
//     safetensorsOfOneType = save(
//       {"weight": np.array([[1, 2], [3, 4]], "<f4"), "bias": np.array([0.5], "<f4")}, metadata={"seed": "7"})
//
// The others are np.save of the arrays in the comments; version 2 by np.lib.format.write_array(…, version=(2, 0)).

import Foundation

enum Fixtures {
  static let mixedSafetensors = decoded(
    """
    4AEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyLDqSBcInF1b3RlZFwiIjoibGluZVxuYnJlYWsiLCJzZWVkIjoiNyJ9LCJzdGVwcyI6eyJkdHlw
    ZSI6Ikk2NCIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0sImEud2VpZ2h0Ijp7ImR0eXBlIjoiRjY0Iiwic2hhcGUiOlsyLDNd
    LCJkYXRhX29mZnNldHMiOls4LDU2XX0sImIuYmlhcyI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzU2LDY4
    XX0sImVtcHR5Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlswLDRdLCJkYXRhX29mZnNldHMiOls2OCw2OF19LCJsYWJlbHMiOnsiZHR5cGUi
    OiJJMzIiLCJzaGFwZSI6WzIsMV0sImRhdGFfb2Zmc2V0cyI6WzY4LDc2XX0sInBpeGVscyI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsyXSwi
    ZGF0YV9vZmZzZXRzIjpbNzYsNzhdfSwibWFzayI6eyJkdHlwZSI6IkJPT0wiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOls3OCw4MV19
    fSAHAAAAAAAAAAAAAAAAAAAAVVVVVVVV1T9VVVVVVVXlPwAAAAAAAPA/VVVVVVVV9T+rqqqqqqr6PwAAwD8AAADAAACAPv////////9/AP8B
    AAE=
    """)

  static let safetensorsOfOneType = decoded(
    """
    mAAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJzZWVkIjoiNyJ9LCJiaWFzIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsxXSwiZGF0YV9vZmZz
    ZXRzIjpbMCw0XX0sIndlaWdodCI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwyXSwiZGF0YV9vZmZzZXRzIjpbNCwyMF19fSAgICAgIAAA
    AD8AAIA/AAAAQAAAQEAAAIBA
    """)

  // np.array([[1.5, -2, 0.25]], "<f4")
  static let float32NPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEsIDMpLCB9ICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAMA/AAAAwAAAgD4=
    """)

  // np.array(1 / 3)
  static let float64NPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKCksIH0gICAgICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIApVVVVVVVXVPw==
    """)

  // np.array([-1, 2**40], "<i8")
  static let int64NPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnPGk4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsKSwgfSAgICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAr//////////wAAAAAAAQAA
    """)

  // np.array([True, False])
  static let boolNPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnfGIxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsKSwgfSAgICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoBAA==
    """)

  // np.zeros((2, 0), "u1")
  static let emptyUInt8NPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDApLCB9ICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAo=
    """)

  // np.asfortranarray(np.array([[1, 2], [3, 4]], "<i4"))
  static let columnMajorNPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnPGk0JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMiksIH0gICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoBAAAAAwAAAAIAAAAEAAAA
    """)

  // np.array([1, 2], ">i4")
  static let bigEndianNPY = decoded(
    """
    k05VTVBZAQB2AHsnZGVzY3InOiAnPmk0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsKSwgfSAgICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAABAAAAAg==
    """)

  // np.array([1, 2, 3], "<i4")
  static let version2NPY = decoded(
    """
    k05VTVBZAgB0AAAAeydkZXNjcic6ICc8aTQnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMywpLCB9ICAgICAgICAgICAg
    ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoBAAAAAgAAAAMAAAA=
    """)

  private static func decoded(_ base64: String) -> [UInt8] {
    Array(Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data())
  }
}
