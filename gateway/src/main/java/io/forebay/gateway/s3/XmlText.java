package io.forebay.gateway.s3;

import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Writes one XML document. */
final class XmlText {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT)
          .withZone(ZoneOffset.UTC);

  private final StringBuilder text = new StringBuilder(512);
  private final String root;

  /** Begins a document of S3's namespace. */
  XmlText(String root) {
    this(root, " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"");
  }

  private XmlText(String root, String attributes) {
    this.root = root;
    text.append("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<")
        .append(root)
        .append(attributes)
        .append('>');
  }

  /** Begins an error document, which has no namespace. */
  static XmlText error() {
    return new XmlText("Error", "");
  }

  XmlText open(String name) {
    text.append('<').append(name).append('>');
    return this;
  }

  XmlText close(String name) {
    text.append("</").append(name).append('>');
    return this;
  }

  XmlText leaf(String name, String value) {
    open(name);
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '&' -> text.append("&amp;");
        case '<' -> text.append("&lt;");
        case '>' -> text.append("&gt;");
        case '"' -> text.append("&quot;");
        default -> {
          if (c == 0) {
            text.append('\uFFFD'); // no XML can hold it
          } else if (c < 0x20 || c == 0x7F) {
            text.append("&#x").append(Integer.toHexString(c)).append(';');
          } else {
            text.append(c);
          }
        }
      }
    }
    return close(name);
  }

  XmlText leaf(String name, long value) {
    return leaf(name, Long.toString(value));
  }

  XmlText leaf(String name, boolean value) {
    return leaf(name, Boolean.toString(value));
  }

  XmlText time(String name, long wallMillis) {
    return leaf(name, TIME.format(Instant.ofEpochMilli(wallMillis)));
  }

  /** The whole document. */
  byte[] bytes() {
    return (text + "</" + root + ">").getBytes(StandardCharsets.UTF_8);
  }

  Answer answer(int status, List<Header> headers) {
    var all = new ArrayList<>(headers);
    all.add(new Header("Content-Type", "application/xml"));
    return new Answer(status, all, bytes());
  }
}
