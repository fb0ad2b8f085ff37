import Configuration
import Foundation
import Testing

@Suite struct ManualTests {
    @Test(arguments: ["boxes.*.depth", "boxes.tall.depth", "depth"])
    func `a key is found whole, as in a file, and by its end`(key: String) {
        #expect(
            Sample.schema.manual(for: key) == """
                boxes.*.depth
                  a depth
                  takes    a whole number from 1 to 9
                  default  3
                  with     kind
                  example  boxes: { NAME: { depth: 1 } }

                """)
    }

    @Test func `a group names its keys`() {
        #expect(Sample.schema.manual(for: "items")?.contains("items[].weight") == true)
        #expect(Sample.schema.manual(for: "items[0]") == nil)
        #expect(Sample.schema.nearestKey(to: "dpeth") == "depth")
    }

    @Test func `the whole manual has every key once`() {
        let lines = Sample.schema.manual.split(separator: "\n").map(String.init)
        for declaration in Sample.schema.declarations {
            #expect(lines.count { $0.hasPrefix("  \(declaration.path)  (") } == 1)
        }
    }

    @Test func `programs get a list`() throws {
        let text = try #require(Sample.schema.manualJSON(for: "depth"))
        #expect(
            text == "[{\"key\":\"boxes.*.depth\",\"meaning\":\"a depth\","
                + "\"type\":\"a whole number from 1 to 9\",\"default\":\"3\","
                + "\"example\":\"1\"}]\n")
        let all = try #require(Sample.schema.manualJSON(for: nil))
        let list = try JSONSerialization.jsonObject(with: Data(all.utf8)) as? [Any]
        #expect(list?.count == Sample.schema.declarations.count)
        #expect(Sample.schema.manualJSON(for: "no.such.key") == nil)
    }

    @Test func `the schema is JSON and knows every key`() throws {
        let object = try JSONSerialization.jsonObject(with: Data(Sample.schema.json.utf8))
        let root = try #require(object as? [String: Any])
        let properties = try #require(root["properties"] as? [String: Any])
        #expect(
            Set(properties.keys)
                == ["port", "wait", "color", "words", "file", "boxes", "items", "extra"])
        #expect(root["additionalProperties"] as? Bool == false)
        #expect(root["required"] as? [String] == ["port"])
    }
}
