package io.forebay.backing.azure;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * What {@code azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true&endpoint=URL]} and the environment
 * say. Secrets are never part of the URL, for buckets show theirs.
 *
 * @param prefix empty, or ends with '/'
 * @param endpoint of the Blob service, without '/' at its end
 * @param create makes the container when there is none
 */
record AzureAddress(
    String account,
    String container,
    String prefix,
    String endpoint,
    boolean create,
    Credential credential) {
  static final String CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING";
  static final String KEY = "AZURE_STORAGE_KEY";
  static final String SAS_TOKEN = "AZURE_STORAGE_SAS_TOKEN";
  private static final String SCHEME = "azblob://";

  /** How requests are authorised. */
  sealed interface Credential {
    /** The account's key. */
    record Key(String key) implements Credential {
      @Override
      public String toString() {
        return "Key[hidden]";
      }
    }

    /** A shared access signature, without '?'. */
    record Sas(String token) implements Credential {
      @Override
      public String toString() {
        return "Sas[hidden]";
      }
    }

    /** Whatever the machine is: managed or workload identity, a developer's login. */
    record Identity() implements Credential {}
  }

  /**
   * Reads a URL.
   *
   * @param settings a setting of the environment by name
   * @throws ForebayException CONFIGURATION naming what is wrong
   */
  static AzureAddress parse(String url, Function<String, Optional<String>> settings) {
    if (!url.startsWith(SCHEME)) {
      throw wrong(url, "it does not begin with " + SCHEME);
    }
    int question = url.indexOf('?');
    String[] parts =
        url.substring(SCHEME.length(), question < 0 ? url.length() : question).split("/", 3);
    if (parts.length < 2 || !parts[0].matches("[a-z0-9]{3,24}")) {
      throw wrong(url, "an account has 3 to 24 lower-case letters and digits");
    }
    if (!parts[1].matches("\\$root|(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")) {
      throw wrong(url, "a container has 3 to 63 lower-case letters, digits and single '-'");
    }
    String prefix = parts.length < 3 ? "" : parts[2].replaceAll("/+$", "");
    Map<String, String> options = options(url, question);
    String create = options.getOrDefault("create", "false");
    if (!List.of("true", "false").contains(create)) {
      throw wrong(url, "create is true or false, not '" + create + "'");
    }
    Optional<Map<String, String>> connection =
        settings.apply(CONNECTION_STRING).map(AzureAddress::connection);
    String account = parts[0];
    String endpoint = options.get("endpoint");
    if (endpoint == null) {
      endpoint =
          connection
              .flatMap(values -> Optional.ofNullable(values.get("blobendpoint")))
              .orElseGet(() -> defaultEndpoint(account, connection.orElse(Map.of())));
    }
    if (!endpoint.matches("https?://.+")) {
      throw wrong(url, "the endpoint '" + endpoint + "' is no http or https URL");
    }
    return new AzureAddress(
        account,
        parts[1],
        prefix.isEmpty() ? "" : prefix + "/",
        endpoint.replaceAll("/+$", ""),
        create.equals("true"),
        credential(url, account, connection, settings));
  }

  private static String defaultEndpoint(String account, Map<String, String> connection) {
    return connection.getOrDefault("defaultendpointsprotocol", "https")
        + "://"
        + account
        + ".blob."
        + connection.getOrDefault("endpointsuffix", "core.windows.net");
  }

  private static Credential credential(
      String url,
      String account,
      Optional<Map<String, String>> connection,
      Function<String, Optional<String>> settings) {
    if (connection.isPresent()) {
      String named = connection.get().getOrDefault("accountname", account);
      if (!named.equals(account)) {
        throw wrong(
            url, CONNECTION_STRING + " is of the account '" + named + "', not '" + account + "'");
      }
      String key = connection.get().get("accountkey");
      String sas = connection.get().get("sharedaccesssignature");
      if (key != null) {
        return new Credential.Key(key);
      }
      if (sas != null) {
        return new Credential.Sas(sas.replaceFirst("^\\?", ""));
      }
      throw wrong(
          url, CONNECTION_STRING + " has neither an AccountKey nor a SharedAccessSignature");
    }
    return settings
        .apply(KEY)
        .<Credential>map(Credential.Key::new)
        .or(() ->
            settings
                .apply(SAS_TOKEN)
                .map(token -> new Credential.Sas(token.replaceFirst("^\\?", ""))))
        .orElseGet(Credential.Identity::new);
  }

  private static Map<String, String> options(String url, int question) {
    var options = new TreeMap<String, String>();
    if (question < 0) {
      return options;
    }
    for (String option : url.substring(question + 1).split("&", -1)) {
      int equals = option.indexOf('=');
      String name = equals < 0 ? option : option.substring(0, equals);
      if (!List.of("create", "endpoint").contains(name)) {
        throw wrong(url, "'" + name + "' is no option; there are create and endpoint");
      }
      options.put(
          name,
          equals < 0
              ? ""
              : URLDecoder.decode(option.substring(equals + 1), StandardCharsets.UTF_8));
    }
    return options;
  }

  /** The fields of a connection string, names in lower case. */
  private static Map<String, String> connection(String text) {
    var fields = new TreeMap<String, String>();
    for (String field : text.split(";", -1)) {
      int equals = field.indexOf('=');
      if (equals > 0) {
        fields.put(
            field.substring(0, equals).strip().toLowerCase(Locale.ROOT),
            field.substring(equals + 1).strip());
      }
    }
    return fields;
  }

  private static ForebayException wrong(String url, String why) {
    int question = url.indexOf('?');
    return new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + (question < 0 ? url : url.substring(0, question))
            + "' cannot be opened: "
            + why
            + "; write azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true&endpoint=URL]");
  }

  /** For messages. */
  String description() {
    URI place = URI.create(endpoint);
    String usual = account + ".blob.core.windows.net";
    return SCHEME
        + account
        + "/"
        + container
        + (prefix.isEmpty() ? "" : "/" + prefix.substring(0, prefix.length() - 1))
        + (usual.equals(place.getHost()) ? "" : " at " + endpoint);
  }
}
