package io.forebay.app.command;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** Facts as JSON: records become objects with their components' names. */
public final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private Json() {}

  /** The JSON text of a record, list or map. */
  public static String of(Object value) {
    return MAPPER.writeValueAsString(value);
  }

  /** The same in one line. */
  public static String line(Object value) {
    return MAPPER.writer().without(SerializationFeature.INDENT_OUTPUT).writeValueAsString(value);
  }

  /** Reads a JSON text. */
  public static JsonNode parse(String text) {
    return MAPPER.readTree(text);
  }
}
