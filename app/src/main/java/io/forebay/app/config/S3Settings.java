package io.forebay.app.config;

import io.forebay.core.cluster.KeyGrant;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.gateway.s3.CorsRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Reads the settings of the S3 door that are lists of maps. */
final class S3Settings {
  private S3Settings() {}

  /**
   * Key pairs.
   *
   * @param where file and setting, for messages
   * @param node null when it is not set
   * @throws ForebayException CONFIGURATION
   */
  static List<ServerConfig.AccessKeyPair> keys(String where, @Nullable JsonNode node) {
    var keys = new ArrayList<ServerConfig.AccessKeyPair>();
    for (JsonNode each : maps(where, node, List.of("accessKeyId", "secretAccessKey", "grants"))) {
      String id = each.path("accessKeyId").asString("");
      String secret = each.path("secretAccessKey").asString("");
      if (id.isEmpty() || secret.isEmpty()) {
        throw wrong(where, "each needs an accessKeyId and a secretAccessKey");
      }
      var grants = new ArrayList<KeyGrant>();
      JsonNode written = each.path("grants");
      if (!written.isMissingNode()) {
        if (!written.isObject() || written.isEmpty()) {
          throw wrong(
              where,
              "the grants of "
                  + id
                  + " must map buckets to read, write or admin, such as {data: read, 'run-*': write};"
                  + " leave them out for a key pair that may do everything");
        }
        for (Map.Entry<String, JsonNode> grant : written.properties()) {
          grants.add(new KeyGrant(bucket(where, grant.getKey()), right(where, grant)));
        }
      }
      keys.add(new ServerConfig.AccessKeyPair(id, secret, grants));
    }
    return keys;
  }

  private static String bucket(String where, String pattern) {
    int star = pattern.indexOf('*');
    if (pattern.isEmpty() || (star >= 0 && star < pattern.length() - 1)) {
      throw wrong(
          where, "'" + pattern + "' is no bucket and no beginning of names with a * behind");
    }
    return pattern;
  }

  private static KeyRight right(String where, Map.Entry<String, JsonNode> grant) {
    String written = grant.getValue().asString("");
    for (KeyRight right : KeyRight.values()) {
      if (right.name().toLowerCase(Locale.ROOT).equals(written)) {
        return right;
      }
    }
    throw wrong(
        where,
        "the right in '"
            + grant.getKey()
            + "' must be read, write or admin, and is '"
            + written
            + "'");
  }

  /**
   * Rules for pages of other origins.
   *
   * @param where file and setting, for messages
   * @param node null when it is not set
   * @throws ForebayException CONFIGURATION
   */
  static List<CorsRule> cors(String where, @Nullable JsonNode node) {
    var rules = new ArrayList<CorsRule>();
    for (JsonNode each :
        maps(where, node, List.of("origins", "methods", "headers", "expose", "maxAge"))) {
      String age = each.path("maxAge").asString("");
      long seconds = age.isEmpty() ? 0 : Span.parseMillis(where + ": maxAge", age) / 1000;
      try {
        rules.add(
            new CorsRule(
                texts(where, each, "origins"),
                texts(where, each, "methods"),
                texts(where, each, "headers").stream()
                    .map(name -> name.toLowerCase(Locale.ROOT))
                    .toList(),
                texts(where, each, "expose"),
                Math.toIntExact(seconds)));
      } catch (IllegalArgumentException | ArithmeticException refused) {
        throw wrong(where, String.valueOf(refused.getMessage()));
      }
    }
    return rules;
  }

  private static List<String> texts(String where, JsonNode rule, String name) {
    var texts = new ArrayList<String>();
    JsonNode node = rule.path(name);
    if (node.isArray()) {
      node.forEach(each -> texts.add(each.asString("")));
    } else if (!node.isMissingNode()) {
      texts.add(node.asString(""));
    }
    if (texts.contains("")) {
      throw wrong(where, name + " must be a text, or a list of texts");
    }
    return texts;
  }

  private static List<JsonNode> maps(String where, @Nullable JsonNode node, List<String> known) {
    var maps = new ArrayList<JsonNode>();
    if (node == null || node.isNull()) {
      return maps;
    }
    if (!node.isArray()) {
      throw wrong(where, "must be a list of maps of " + String.join(", ", known));
    }
    for (JsonNode each : node) {
      if (!each.isObject()) {
        throw wrong(where, "must be a list of maps of " + String.join(", ", known));
      }
      for (String name : each.propertyNames()) {
        if (!known.contains(name)) {
          throw wrong(
              where,
              "unknown setting '"
                  + name
                  + "'; did you mean '"
                  + ConfigReader.nearest(name, known)
                  + "'?");
        }
      }
      maps.add(each);
    }
    return maps;
  }

  private static ForebayException wrong(String where, String message) {
    return new ForebayException(ErrorCode.CONFIGURATION, where + ": " + message);
  }
}
