package io.forebay.gateway.http;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The headers of a request, in the order they came. Names are lower-case; each char of a value is
 * one byte as it was on the wire (ISO 8859-1).
 */
public record Headers(List<Header> all) {
  public Headers {
    all = List.copyOf(all);
  }

  /** The first value of a header. */
  public Optional<String> first(String lowerCaseName) {
    for (Header header : all) {
      if (header.name().equals(lowerCaseName)) {
        return Optional.of(header.value());
      }
    }
    return Optional.empty();
  }

  /** All values of a header. */
  public List<String> values(String lowerCaseName) {
    var values = new ArrayList<String>(1);
    for (Header header : all) {
      if (header.name().equals(lowerCaseName)) {
        values.add(header.value());
      }
    }
    return values;
  }
}
