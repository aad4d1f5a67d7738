/// The colours of all pictures, on light and on dark ground.
///
/// Those of data are Okabe and Ito's, which people with any common form of colour blindness tell apart (Color Universal
/// Design, 2008), in the order of their contrast with white; on dark ground the blue and the vermilion are lightened and
/// yellow takes the place of sky blue. Contrast with the ground is at least 2.3, and the lines differ by dashes and markers too.
enum Ink: Equatable {
  case ink, muted, grid
  case data(Int)

  static let dataColors: [(light: String, dark: String)] = [
    ("#0072b2", "#56b4e9"), ("#d55e00", "#f08848"), ("#009e73", "#2cc295"), ("#cc79a7", "#dd93bc"),
    ("#e69f00", "#eab13a"), ("#111111", "#f2f2f0"), ("#56b4e9", "#f0e442"),
  ]

  static let all: [Ink] = [.ink, .muted, .grid] + dataColors.indices.map { .data($0) }

  /// The class by which a page's style sheet finds what is painted in this colour.
  var name: String {
    switch self {
    case .ink: "ink"
    case .muted: "muted"
    case .grid: "grid"
    case .data(let index): "data\(Self.wrapped(index))"
    }
  }

  var light: String {
    switch self {
    case .ink: "#1b1c1e"
    case .muted: "#5d6269"
    case .grid: "#dee1e5"
    case .data(let index): Self.dataColors[Self.wrapped(index)].light
    }
  }

  var dark: String {
    switch self {
    case .ink: "#e8e7e3"
    case .muted: "#a2a8b0"
    case .grid: "#373c43"
    case .data(let index): Self.dataColors[Self.wrapped(index)].dark
    }
  }

  static let paperLight = "#ffffff"
  static let paperDark = "#15171a"

  private static func wrapped(_ index: Int) -> Int {
    let count = dataColors.count
    return (index % count + count) % count
  }
}
