package io.forebay.backing.azure;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * What {@code azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true]} and the environment say. Secrets
 * are never part of the URL, for buckets show theirs; and where they are sent to is never part of
 * it either, for whoever may name a bucket's store could have them sent to himself.
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
  static final String ACCOUNT = "AZURE_STORAGE_ACCOUNT";
  static final String ENDPOINT = "AZURE_STORAGE_ENDPOINT";
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
    String account = parts[0];
    String prefix = parts.length < 3 ? "" : parts[2].replaceAll("/+$", "");
    if (BlobNames.wrong(prefix).isPresent()) {
      throw wrong(url, "in its prefix " + BlobNames.wrong(prefix).get());
    }
    String create = options(url, question).getOrDefault("create", "false");
    if (!List.of("true", "false").contains(create)) {
      throw wrong(url, "create is true or false, not '" + create + "'");
    }
    Optional<Map<String, String>> connection =
        settings.apply(CONNECTION_STRING).map(AzureAddress::connection);
    Credential credential =
        connection
            .map(fields -> ofConnection(url, account, fields))
            .orElseGet(() -> ofSettings(url, account, settings));
    String endpoint =
        connection
            .flatMap(fields -> Optional.ofNullable(fields.get("blobendpoint")))
            .or(() -> settings.apply(ENDPOINT))
            .orElseGet(() -> defaultEndpoint(account, connection.orElse(Map.of())))
            .replaceAll("/+$", "");
    requireSafe(url, endpoint, credential);
    return new AzureAddress(
        account,
        parts[1],
        prefix.isEmpty() ? "" : prefix + "/",
        endpoint,
        create.equals("true"),
        credential);
  }

  private static String defaultEndpoint(String account, Map<String, String> connection) {
    return connection.getOrDefault("defaultendpointsprotocol", "https")
        + "://"
        + account
        + ".blob."
        + connection.getOrDefault("endpointsuffix", "core.windows.net");
  }

  /** A key signs and stays here; the others travel, and do so encrypted. */
  private static void requireSafe(String url, String endpoint, Credential credential) {
    URI place;
    try {
      place = new URI(endpoint);
    } catch (URISyntaxException malformed) {
      throw wrong(url, "its endpoint is no URL");
    }
    boolean plain = "http".equals(place.getScheme());
    if (place.getHost() == null
        || place.getUserInfo() != null
        || place.getQuery() != null
        || !(plain || "https".equals(place.getScheme()))) {
      throw wrong(url, "its endpoint is not of the form http[s]://HOST[:PORT][/PATH]");
    }
    boolean loopback = List.of("127.0.0.1", "localhost", "[::1]").contains(place.getHost());
    boolean travels =
        switch (credential) {
          case Credential.Key _ -> false;
          case Credential.Sas _ -> !loopback;
          case Credential.Identity _ -> true;
        };
    if (plain && travels) {
      throw wrong(
          url, "its endpoint " + endpoint + " is not encrypted, and would show the credential");
    }
  }

  private static Credential ofConnection(
      String url, String account, Map<String, String> connection) {
    // A signature's connection string names no account but in its endpoint.
    String named =
        Optional.ofNullable(connection.get("accountname"))
            .or(() ->
                Optional.ofNullable(connection.get("blobendpoint")).map(AzureAddress::accountOf))
            .orElse(account);
    if (!named.equals(account)) {
      throw wrong(
          url, CONNECTION_STRING + " is of the account '" + named + "', not '" + account + "'");
    }
    String key = connection.get("accountkey");
    String sas = connection.get("sharedaccesssignature");
    if (key != null) {
      return key(url, CONNECTION_STRING, key);
    }
    if (sas != null) {
      return sas(url, CONNECTION_STRING, sas);
    }
    throw wrong(url, CONNECTION_STRING + " has neither an AccountKey nor a SharedAccessSignature");
  }

  /** {@code https://ACCOUNT.blob...} or, as emulators have it, {@code http://HOST/ACCOUNT}. */
  private static String accountOf(String endpoint) {
    String[] parts = endpoint.replaceFirst("^https?://", "").split("/", -1);
    return parts.length > 1 && !parts[1].isEmpty() ? parts[1] : parts[0].replaceFirst("\\..*", "");
  }

  private static Credential ofSettings(
      String url, String account, Function<String, Optional<String>> settings) {
    Optional<String> key = settings.apply(KEY);
    Optional<String> sas = settings.apply(SAS_TOKEN);
    if (key.isEmpty() && sas.isEmpty()) {
      return new Credential.Identity();
    }
    String named = settings.apply(ACCOUNT).orElse(account);
    if (!named.equals(account)) {
      throw wrong(url, ACCOUNT + " is '" + named + "', not '" + account + "'");
    }
    return key.isPresent() ? key(url, KEY, key.get()) : sas(url, SAS_TOKEN, sas.orElseThrow());
  }

  private static Credential key(String url, String setting, String key) {
    try {
      if (Base64.getDecoder().decode(key).length > 0) {
        return new Credential.Key(key);
      }
    } catch (IllegalArgumentException malformed) {
      // The decoder's message would quote it.
      throw wrong(url, "the key in " + setting + " is not base64; copy it again");
    }
    throw wrong(url, "the key in " + setting + " is empty");
  }

  private static Credential sas(String url, String setting, String text) {
    String token = text.replaceFirst("^\\?", "");
    if (!token.matches("[!-~]+") || !token.contains("sig=")) {
      throw wrong(url, "the token in " + setting + " is no shared access signature; copy it again");
    }
    return new Credential.Sas(token);
  }

  private static Map<String, String> options(String url, int question) {
    var options = new TreeMap<String, String>();
    if (question < 0) {
      return options;
    }
    for (String option : url.substring(question + 1).split("&", -1)) {
      int equals = option.indexOf('=');
      String name = equals < 0 ? option : option.substring(0, equals);
      if (!name.equals("create")) {
        throw wrong(url, "'" + name + "' is no option; there is only create");
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
    // Without what people put secrets into.
    String shown = url.replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    return new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + shown
            + "' cannot be opened: "
            + why
            + "; write azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true], with the credentials in the"
            + " environment");
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
