package io.forebay.gateway.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What a form's signed policy allows ("POST Policy" of the Amazon S3 API reference).
 *
 * @param expiresMillis wall-clock time
 * @param conditions on fields
 * @param leastBytes of the file
 * @param mostBytes of the file
 */
record PostPolicy(long expiresMillis, List<Condition> conditions, long leastBytes, long mostBytes) {
  /** Fields that need no condition: they make the policy, or are what it is about. */
  private static final Set<String> FREE = Set.of("policy", "x-amz-signature", "file");

  private static final String IGNORED = "x-ignore-";

  /**
   * A condition.
   *
   * @param field lower case
   * @param prefix whether the field's value need only begin like that
   */
  record Condition(String field, String value, boolean prefix) {
    boolean holds(String actual) {
      if (!prefix) {
        return actual.equals(value);
      }
      if (!field.equals("content-type")) {
        return actual.startsWith(value);
      }
      // Several types may stand there, and each must begin like that.
      return List.of(actual.split(",", -1)).stream()
          .allMatch(each -> each.strip().startsWith(value));
    }
  }

  /**
   * Reads a policy.
   *
   * @param base64 as the form carries it
   * @throws S3Refusal INVALID_POLICY_DOCUMENT
   */
  static PostPolicy parse(String base64) {
    Map<?, ?> document;
    try {
      byte[] text = Base64.getMimeDecoder().decode(base64);
      document = Json.object(new String(text, StandardCharsets.UTF_8));
    } catch (IllegalArgumentException broken) {
      throw invalid("Invalid JSON: " + broken.getMessage());
    }
    if (!(document.get("expiration") instanceof String expiration)) {
      throw invalid("Policy missing expiration.");
    }
    long expires;
    try {
      expires = Instant.parse(expiration).toEpochMilli();
    } catch (DateTimeException notATime) {
      throw invalid("Invalid 'expiration' value: '" + expiration + "'");
    }
    if (!(document.get("conditions") instanceof List<?> written)) {
      throw invalid("Policy missing conditions.");
    }
    var conditions = new ArrayList<Condition>();
    long least = 0;
    long most = Long.MAX_VALUE;
    for (Object each : written) {
      switch (each) {
        case Map<?, ?> exact -> {
          for (Map.Entry<?, ?> entry : exact.entrySet()) {
            conditions.add(
                new Condition(lower(entry.getKey()), String.valueOf(entry.getValue()), false));
          }
        }
        case List<?> triple when triple.size() == 3 -> {
          String kind = lower(triple.get(0));
          if (kind.equals("content-length-range")) {
            least = Math.max(least, number(triple.get(1)));
            most = Math.min(most, number(triple.get(2)));
          } else if (kind.equals("eq") || kind.equals("starts-with")) {
            String field = lower(triple.get(1));
            if (!field.startsWith("$")) {
              throw invalid("Invalid Condition: a field's name begins with '$'");
            }
            conditions.add(
                new Condition(
                    field.substring(1), String.valueOf(triple.get(2)), kind.equals("starts-with")));
          } else {
            throw invalid("Invalid Condition: the operation '" + kind + "' is not known");
          }
        }
        default -> throw invalid("Invalid Condition: it is neither an object nor a list of three");
      }
    }
    return new PostPolicy(expires, List.copyOf(conditions), least, most);
  }

  /**
   * Lets a form pass or not.
   *
   * @param fields by lower-case name, as text, with {@code bucket} and the key as it is to be
   * @throws ForebayException ACCESS_DENIED (expired)
   * @throws S3Refusal POLICY_CONDITION
   */
  void check(Map<String, String> fields, long nowMillis) {
    if (nowMillis > expiresMillis) {
      throw new ForebayException(
          ErrorCode.ACCESS_DENIED, "Invalid according to Policy: Policy expired.");
    }
    var named = new TreeSet<String>();
    for (Condition condition : conditions) {
      named.add(condition.field);
      if (!condition.holds(fields.getOrDefault(condition.field, ""))) {
        throw new S3Refusal(
            S3Code.POLICY_CONDITION,
            "Invalid according to Policy: Policy Condition failed: [\""
                + (condition.prefix ? "starts-with" : "eq")
                + "\", \"$"
                + condition.field
                + "\", \""
                + condition.value
                + "\"]");
      }
    }
    for (String field : fields.keySet()) {
      if (!named.contains(field) && !FREE.contains(field) && !field.startsWith(IGNORED)) {
        throw new S3Refusal(
            S3Code.POLICY_CONDITION, "Invalid according to Policy: Extra input fields: " + field);
      }
    }
  }

  private static String lower(Object text) {
    return String.valueOf(text).toLowerCase(Locale.ROOT);
  }

  private static long number(Object value) {
    try {
      return Long.parseLong(String.valueOf(value));
    } catch (NumberFormatException notANumber) {
      throw invalid("Invalid Condition: content-length-range takes two whole numbers");
    }
  }

  private static S3Refusal invalid(String why) {
    return new S3Refusal(S3Code.INVALID_POLICY_DOCUMENT, "Invalid Policy: " + why);
  }
}
