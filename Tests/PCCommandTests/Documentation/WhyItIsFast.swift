import Foundation
import Testing

enum WhyItIsFast {
  static func run() throws {
    let reading = try Reading("WhyItIsFast")
    try reading.shell()
    #expect(reading.has("trace.json"))
    reading.end()
  }
}
