package io.forebay.backing.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * What {@code s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION&pathStyle=true&create=true]} and the
 * environment say. Secrets are never part of the URL, for buckets show theirs. Where requests go to
 * may be: a secret key signs them and stays here.
 *
 * @param prefix empty, or ends with '/'
 * @param endpoint without '/' at its end; empty for Amazon's of the region
 * @param pathStyle the bucket is the first part of the path, not of the host's name
 * @param create makes the bucket when there is none
 */
record S3Address(
    String bucket,
    String prefix,
    Optional<URI> endpoint,
    String region,
    boolean pathStyle,
    boolean create,
    Credential credential) {
  static final String KEY_ID = "AWS_ACCESS_KEY_ID";
  static final String SECRET = "AWS_SECRET_ACCESS_KEY";
  static final String TOKEN = "AWS_SESSION_TOKEN";
  private static final List<String> ENDPOINTS = List.of("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
  private static final List<String> REGIONS = List.of("AWS_REGION", "AWS_DEFAULT_REGION");
  private static final List<String> OPTIONS = List.of("endpoint", "region", "pathStyle", "create");
  private static final String DEFAULT_REGION = "us-east-1";
  private static final String SCHEME = "s3://";

  /** How requests are authorised. */
  sealed interface Credential {
    /**
     * A key pair of the environment.
     *
     * @param token empty for a lasting pair
     */
    record Pair(String id, String secret, Optional<String> token) implements Credential {
      @Override
      public String toString() {
        return "Pair[" + id + ", hidden]";
      }
    }

    /** Whatever the SDK's default chain finds: a profile, a web identity, the machine's role. */
    record Chain() implements Credential {}
  }

  /**
   * Reads a URL.
   *
   * @param settings a setting of the environment by name
   * @throws ForebayException CONFIGURATION naming what is wrong
   */
  static S3Address parse(String url, Function<String, Optional<String>> settings) {
    if (!url.startsWith(SCHEME)) {
      throw wrong(url, "it does not begin with " + SCHEME);
    }
    int question = url.indexOf('?');
    String[] parts =
        url.substring(SCHEME.length(), question < 0 ? url.length() : question).split("/", 2);
    if (!parts[0].matches("(?!.*\\.\\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")) {
      throw wrong(url, "a bucket has 3 to 63 lower-case letters, digits, '-' and single '.'");
    }
    String prefix = parts.length < 2 ? "" : parts[1].replaceAll("/+$", "");
    KeyNames.wrong(prefix)
        .ifPresent(why -> {
          throw wrong(url, "in its prefix " + why);
        });
    Map<String, String> options = options(url, question);
    Optional<URI> endpoint =
        Optional.ofNullable(options.get("endpoint"))
            .or(() -> first(ENDPOINTS, settings))
            .map(text -> endpoint(url, text));
    String region =
        Optional.ofNullable(options.get("region"))
            .or(() -> first(REGIONS, settings))
            .orElse(DEFAULT_REGION);
    if (!region.matches("[a-z0-9-]{1,40}")) {
      throw wrong(url, "'" + region + "' is no region; one looks like eu-central-1");
    }
    return new S3Address(
        parts[0],
        prefix.isEmpty() ? "" : prefix + "/",
        endpoint,
        region,
        // Who has a server of his own seldom has a name for each of its buckets.
        flag(url, options, "pathStyle", endpoint.isPresent()),
        flag(url, options, "create", false),
        credential(url, settings));
  }

  private static Optional<String> first(
      List<String> names, Function<String, Optional<String>> settings) {
    return names.stream().flatMap(name -> settings.apply(name).stream()).findFirst();
  }

  private static boolean flag(
      String url, Map<String, String> options, String name, boolean otherwise) {
    String value = options.getOrDefault(name, Boolean.toString(otherwise));
    if (!List.of("true", "false").contains(value)) {
      throw wrong(url, name + " is true or false, not '" + value + "'");
    }
    return value.equals("true");
  }

  private static URI endpoint(String url, String text) {
    URI place;
    try {
      place = new URI(text.replaceAll("/+$", ""));
    } catch (URISyntaxException malformed) {
      throw wrong(url, "its endpoint is no URL");
    }
    if (place.getHost() == null
        || place.getUserInfo() != null
        || place.getQuery() != null
        || place.getFragment() != null
        || !List.of("http", "https").contains(String.valueOf(place.getScheme()))) {
      throw wrong(url, "its endpoint is not of the form http[s]://HOST[:PORT][/PATH]");
    }
    return place;
  }

  private static Credential credential(String url, Function<String, Optional<String>> settings) {
    Optional<String> id = settings.apply(KEY_ID);
    Optional<String> secret = settings.apply(SECRET);
    if (id.isEmpty() && secret.isEmpty()) {
      return new Credential.Chain();
    }
    if (id.isEmpty() || secret.isEmpty()) {
      throw wrong(
          url,
          (id.isEmpty() ? KEY_ID : SECRET)
              + " is not set beside "
              + (id.isEmpty() ? SECRET : KEY_ID)
              + "; set both or neither");
    }
    return new Credential.Pair(id.get(), secret.get(), settings.apply(TOKEN));
  }

  private static Map<String, String> options(String url, int question) {
    var options = new TreeMap<String, String>();
    if (question < 0) {
      return options;
    }
    for (String option : url.substring(question + 1).split("&", -1)) {
      int equals = option.indexOf('=');
      String name = equals < 0 ? option : option.substring(0, equals);
      if (!OPTIONS.contains(name)) {
        throw wrong(url, "'" + name + "' is no option; there are " + String.join(", ", OPTIONS));
      }
      try {
        options.put(
            name,
            equals < 0
                ? ""
                : URLDecoder.decode(option.substring(equals + 1), StandardCharsets.UTF_8));
      } catch (IllegalArgumentException malformed) {
        throw wrong(url, "the value of '" + name + "' has a '%' that begins no code");
      }
    }
    return options;
  }

  private static ForebayException wrong(String url, String why) {
    // Without what people put secrets into.
    String shown = url.replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    return new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + shown
            + "' cannot be opened: "
            + why
            + "; write s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION&pathStyle=true&create=true],"
            + " with the credentials in the environment");
  }

  /** For messages. */
  String description() {
    return SCHEME
        + bucket
        + (prefix.isEmpty() ? "" : "/" + prefix.substring(0, prefix.length() - 1))
        + " at "
        + place();
  }

  /** Where requests go to. */
  String place() {
    return endpoint.map(URI::toString).orElse("Amazon S3 in " + region);
  }
}
