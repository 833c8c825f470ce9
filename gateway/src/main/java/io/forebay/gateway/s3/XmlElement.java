package io.forebay.gateway.s3;

import java.io.ByteArrayInputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.xml.XMLConstants;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * One element of a small document that a client sent. Document types are refused, so there are no
 * entities to expand and nothing outside to fetch.
 */
record XmlElement(String name, StringBuilder content, List<XmlElement> children) {
  /** Largest document: 10,000 parts with a checksum each take about 1.5 MB. */
  static final int MAX_BYTES = 2 << 20;

  private static final int MAX_DEPTH = 16;
  private static final int MAX_ELEMENTS = 100_000;

  private XmlElement(String name) {
    this(name, new StringBuilder(), new ArrayList<>());
  }

  /**
   * Reads a document.
   *
   * @param root name that its root must have
   * @throws S3Refusal MALFORMED_XML
   */
  static XmlElement parse(byte[] document, String root) {
    if (document.length > MAX_BYTES) {
      throw malformed("it has more than " + MAX_BYTES + " bytes");
    }
    XMLInputFactory factory = XMLInputFactory.newFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    factory.setProperty(XMLInputFactory.IS_COALESCING, true);
    factory.setProperty(XMLConstants.ACCESS_EXTERNAL_DTD, "");
    try {
      XMLStreamReader reader =
          factory.createXMLStreamReader(new ByteArrayInputStream(document), "UTF-8");
      XmlElement read = parse(reader);
      if (!read.name.equals(root)) {
        throw malformed("its root must be " + root);
      }
      return read;
    } catch (XMLStreamException broken) {
      throw malformed("it is not well-formed");
    }
  }

  private static XmlElement parse(XMLStreamReader reader) throws XMLStreamException {
    var open = new ArrayDeque<XmlElement>();
    XmlElement root = null;
    int count = 0;
    while (reader.hasNext()) {
      switch (reader.next()) {
        case XMLStreamConstants.DTD, XMLStreamConstants.ENTITY_REFERENCE ->
            throw malformed("document types and entities are not allowed");
        case XMLStreamConstants.START_ELEMENT -> {
          if (open.size() == MAX_DEPTH || ++count > MAX_ELEMENTS) {
            throw malformed("it is nested too deeply, or has too many elements");
          }
          var element = new XmlElement(reader.getLocalName());
          if (open.isEmpty()) {
            root = element;
          } else {
            open.getLast().children.add(element);
          }
          open.addLast(element);
        }
        case XMLStreamConstants.END_ELEMENT -> open.removeLast();
        case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA -> {
          if (!open.isEmpty()) {
            open.getLast().content.append(reader.getText());
          }
        }
        default -> {
          // comments, white space and processing instructions say nothing
        }
      }
    }
    if (root == null) {
      throw malformed("it is empty");
    }
    return root;
  }

  /** The children of that name. */
  List<XmlElement> all(String childName) {
    return children.stream().filter(child -> child.name.equals(childName)).toList();
  }

  /** The text of the first child of that name. */
  Optional<String> text(String childName) {
    return children.stream()
        .filter(child -> child.name.equals(childName))
        .findFirst()
        .map(child -> child.content.toString());
  }

  /**
   * The text of a child that must be there.
   *
   * @throws S3Refusal MALFORMED_XML
   */
  String need(String childName) {
    return text(childName).orElseThrow(() -> malformed("a " + name + " lacks its " + childName));
  }

  static S3Refusal malformed(String why) {
    return new S3Refusal(
        S3Code.MALFORMED_XML, "the XML of the request's body cannot be read: " + why);
  }
}
