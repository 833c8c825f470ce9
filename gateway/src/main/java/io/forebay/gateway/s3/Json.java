package io.forebay.gateway.s3;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the small JSON documents (RFC 8259) that policies are. Objects become maps, arrays lists,
 * everything else text: numbers as they are written, {@code null} as the empty text.
 */
final class Json {
  private static final int MAX_DEPTH = 8;

  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /**
   * Reads a document that is an object.
   *
   * @throws IllegalArgumentException when it is none
   */
  static Map<?, ?> object(String text) {
    var json = new Json(text);
    Object value = json.value(0);
    json.space();
    if (json.at != text.length() || !(value instanceof Map<?, ?> map)) {
      throw json.wrong();
    }
    return map;
  }

  private Object value(int depth) {
    space();
    if (depth > MAX_DEPTH || at >= text.length()) {
      throw wrong();
    }
    return switch (text.charAt(at)) {
      case '{' -> map(depth);
      case '[' -> list(depth);
      case '"' -> string();
      default -> word();
    };
  }

  private Map<String, Object> map(int depth) {
    var map = new LinkedHashMap<String, Object>();
    at++;
    for (boolean first = true; !took('}'); first = false) {
      if (!first) {
        need(',');
      }
      space();
      String key = string();
      need(':');
      map.put(key, value(depth + 1));
    }
    return map;
  }

  private List<Object> list(int depth) {
    var list = new ArrayList<Object>();
    at++;
    for (boolean first = true; !took(']'); first = false) {
      if (!first) {
        need(',');
      }
      list.add(value(depth + 1));
    }
    return list;
  }

  private String string() {
    if (at >= text.length() || text.charAt(at) != '"') {
      throw wrong();
    }
    at++;
    var value = new StringBuilder();
    while (true) {
      char c = next();
      if (c == '"') {
        return value.toString();
      }
      if (c < 0x20) {
        throw wrong();
      }
      value.append(c == '\\' ? escaped() : c);
    }
  }

  private char escaped() {
    char c = next();
    return switch (c) {
      case '"', '\\', '/' -> c;
      case '$' -> c; // S3's own: a value that begins with a dollar sign
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> {
        if (at + 4 > text.length()) {
          throw wrong();
        }
        at += 4;
        yield (char) Integer.parseInt(text.substring(at - 4, at), 16);
      }
      default -> throw wrong();
    };
  }

  /** A number, true, false or null. */
  private String word() {
    int begin = at;
    while (at < text.length() && "+-.0123456789eEaflnrstu".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    String word = text.substring(begin, at);
    if (word.matches("true|false|-?\\d+(\\.\\d+)?([eE][+-]?\\d+)?")) {
      return word;
    }
    if (word.equals("null")) {
      return "";
    }
    throw wrong();
  }

  private char next() {
    if (at >= text.length()) {
      throw wrong();
    }
    return text.charAt(at++);
  }

  private boolean took(char c) {
    space();
    if (at < text.length() && text.charAt(at) == c) {
      at++;
      return true;
    }
    return false;
  }

  private void need(char c) {
    if (!took(c)) {
      throw wrong();
    }
  }

  private void space() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private IllegalArgumentException wrong() {
    return new IllegalArgumentException("it cannot be read at character " + at);
  }
}
