import Foundation
import PredictiveCoding
import Testing

struct JSONTests {
  static let value = JSON.object([
    ("z", .number(0.1)), ("a", .array([.integer(-3), .number(1e-7), .number(.nan), .number(nil), .bool(true)])),
    ("text", .string("a \"quoted\" \\ line\n\tand \u{1} ∂")), ("empty", .object([])),
    ("long", .array((0..<60).map { .integer($0) })),
  ])

  @Test func `one line, keys in order`() {
    #expect(
      JSON.object([("z", .integer(1)), ("a", .array([.null, .string("x")]))]).description
        == #"{"z":1,"a":[null,"x"]}"#)
  }

  @Test(arguments: [value.description, value.indented])
  func `Foundation reads what was meant`(_ text: String) throws {
    let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(object["z"] as? Double == 0.1)
    let array = try #require(object["a"] as? [Any])
    #expect(array[0] as? Int == -3)
    #expect(array[1] as? Double == 1e-7)
    #expect(array[2] is NSNull && array[3] is NSNull)
    #expect(object["text"] as? String == "a \"quoted\" \\ line\n\tand \u{1} ∂")
    #expect((object["long"] as? [Int]) == Array(0..<60))
  }

  @Test func `64-bit seeds keep every digit`() {
    #expect(JSON.integer(UInt64.max).description == "18446744073709551615")
  }
}
