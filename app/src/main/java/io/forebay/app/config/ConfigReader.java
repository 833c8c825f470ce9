package io.forebay.app.config;

import io.forebay.backing.StoreFactory;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.gateway.s3.CorsRule;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.resync.Scrubber;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * Reads a configuration file. Every setting stands once in {@link #SETTINGS}, with its default and
 * meaning; an unknown one stops the start with its name and the nearest known one.
 */
public final class ConfigReader {
  /** One setting. */
  public record Setting(String name, String form, String defaultText, String meaning) {}

  /** All settings, in the order of the reference. */
  public static final List<Setting> SETTINGS =
      List.of(
          new Setting("node", "NAME", "(required)", "this node's name: 1 to 63 of a-z 0-9 . - _"),
          new Setting(
              "domain", "NAME", "the node's name", "failure domain; copies go to different ones"),
          new Setting(
              "secret",
              "TEXT",
              "(required, or secretFile)",
              "the cluster's secret, at least 16 characters"),
          new Setting("secretFile", "PATH", "", "file that holds the secret"),
          new Setting("listen", "HOST:PORT", "the voter's address", "where peers reach this node"),
          new Setting(
              "voters",
              "NAME: {address, consensus}",
              "(required)",
              "the 1, 3 or 5 nodes that run the control plane, set at the first start: transport and consensus HOST:PORT of each"),
          new Setting("data", "PATH or list", "./forebay-data/disk0", "one directory per disk"),
          new Setting(
              "meta", "PATH", "./forebay-data/meta", "the control plane's log and namespace"),
          new Setting(
              "s3.listen",
              "[https://]HOST:PORT",
              "",
              "the S3 door; none when empty; with https:// over TLS"),
          new Setting(
              "s3.certificate",
              "PATH",
              "self-signed, beside meta",
              "PEM file for https://: the server's certificate, then its issuers'"),
          new Setting(
              "s3.certificateKey",
              "PATH",
              "",
              "PEM file of its private key: PKCS #8, not encrypted"),
          new Setting(
              "s3.connections",
              "1-1000000",
              Integer.toString(S3DoorConfig.DEFAULT_CONNECTIONS),
              "open connections; for one beyond, a silent one gives way"),
          new Setting("s3.idle", "SPAN", "75s", "how long a connection may be without a request"),
          new Setting("s3.domain", "DOMAIN", "", "for virtual-host style: BUCKET.DOMAIN"),
          new Setting(
              "s3.anonymous", "true|false", "false", "serve unsigned requests; on loopback only"),
          new Setting("s3.accessKeyId", "TEXT", "", "a key pair to add at the start"),
          new Setting("s3.secretAccessKey", "TEXT", "", "its secret"),
          new Setting(
              "s3.keys",
              "list of {accessKeyId, secretAccessKey, grants}",
              "",
              "more key pairs; grants maps buckets (or PREFIX*) to read, write or admin; without grants: everything"),
          new Setting(
              "s3.cors",
              "list of {origins, methods, headers, expose, maxAge}",
              "",
              "which pages of other origins a browser lets use the S3 door"),
          new Setting("admin.listen", "HOST:PORT", "", "metrics and health; none when empty"),
          new Setting(
              "store",
              "URL",
              "",
              "default store of new buckets: dir:PATH, azblob://ACCOUNT/CONTAINER[/PREFIX] or s3://BUCKET[/PREFIX]; empty: cache-only"),
          new Setting(
              "capacity", "SIZE", "80 % of what is free", "what each data directory may hold"),
          new Setting(
              "capacity.high",
              "SHARE",
              Double.toString(CapacitySettings.DEFAULT.high()),
              "of its capacity; above it what a store has is evicted from a disk, least recently used first"),
          new Setting(
              "capacity.low",
              "SHARE",
              Double.toString(CapacitySettings.DEFAULT.low()),
              "down to which it is"),
          new Setting(
              "capacity.wait",
              "SPAN",
              "30s",
              "how long a write into full disks waits for the flush to make room while it makes none; 0s: not at all"),
          new Setting(
              "capacity.reserve",
              "SIZE",
              "256MiB, or 1GiB beside a voter's meta",
              "room that chunks leave free on each file system, for the control plane and others"),
          new Setting(
              "segment",
              "SIZE",
              "256MiB",
              "size of a segment file: a multiple of 4MiB from 32MiB to 1GiB"),
          new Setting(
              "memory",
              "SIZE",
              "512MiB, or less where the JVM may not have so much",
              "buffers outside the heap, in all; at least 224MiB"),
          new Setting(
              "memoryTier",
              "SIZE",
              "half of what the JVM may have beside memory, at most 1GiB",
              "what is kept in memory of what is read often; below 8MiB: nothing"),
          new Setting(
              "replicas", "1-7", "2 (1 on a cluster of one)", "default copies of new buckets"),
          new Setting(
              "grace", "SPAN", "2m", "how long a lost volume is waited for before it is replaced"),
          new Setting(
              "rebalance",
              "true|false",
              "true",
              "of voters: whether data move from full disks to empty ones, as of nodes that join"),
          new Setting("flushDelay", "SPAN", "5s", "from publish to flush, for new buckets"),
          new Setting(
              "scrub.rate",
              "SIZE",
              "32MiB",
              "what is read of each disk in a second to find damage that no reader meets; 0: nothing"),
          new Setting(
              "scrub.cycle",
              "SPAN",
              "1d",
              "a disk is not looked through again before; one of 10 TB takes 4 days at 32MiB"),
          new Setting(
              "leases.length",
              "SPAN",
              "0s",
              "how long a node may answer HEAD from memory before it asks again, at most 1s; 0s: never"),
          new Setting(
              "leases.quiet",
              "SPAN",
              "100ms",
              "a directory that was written within this time gives no lease"),
          new Setting("leases.except", "list", "", "buckets that are always asked about"));

  private static final long DEFAULT_QUIET_NANOS = 100_000_000L;

  private ConfigReader() {}

  /**
   * Reads a file.
   *
   * @throws ForebayException CONFIGURATION with the file, the setting and what would be right
   */
  public static ServerConfig read(Path file) {
    JsonNode root;
    try {
      root = YAMLMapper.builder().build().readTree(Files.readString(file));
    } catch (IOException failure) {
      throw wrong(file, "cannot be read: " + failure);
    } catch (JacksonException failure) {
      throw wrong(file, "is no YAML: " + failure.getOriginalMessage());
    }
    if (!root.isObject()) {
      throw wrong(file, "must be a map of settings, as docs/configuration.md shows one");
    }
    var flat = new TreeMap<String, JsonNode>();
    for (Map.Entry<String, JsonNode> entry : root.properties()) {
      if (entry.getValue().isObject() && !entry.getKey().equals("voters")) {
        for (Map.Entry<String, JsonNode> inner : entry.getValue().properties()) {
          flat.put(entry.getKey() + "." + inner.getKey(), inner.getValue());
        }
      } else {
        flat.put(entry.getKey(), entry.getValue());
      }
    }
    List<String> names = SETTINGS.stream().map(Setting::name).toList();
    for (String name : flat.keySet()) {
      if (!names.contains(name)) {
        throw wrong(
            file, "unknown setting '" + name + "'; did you mean '" + nearest(name, names) + "'?");
      }
    }
    return new Reading(file, flat).config();
  }

  private static ForebayException wrong(Path file, String message) {
    return new ForebayException(ErrorCode.CONFIGURATION, file + ": " + message);
  }

  /** The known name with the fewest edits from what was written. */
  static String nearest(String written, List<String> known) {
    String best = known.getFirst();
    int bestDistance = Integer.MAX_VALUE;
    for (String candidate : known) {
      int distance = distance(written, candidate);
      if (distance < bestDistance) {
        bestDistance = distance;
        best = candidate;
      }
    }
    return best;
  }

  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int above = row[j];
        int change = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(change, Math.min(above, row[j - 1]) + 1);
        diagonal = above;
      }
    }
    return row[b.length()];
  }

  private record Reading(Path file, SortedMap<String, JsonNode> values) {
    ServerConfig config() {
      NodeId node;
      try {
        node = new NodeId(required("node"));
      } catch (IllegalArgumentException failure) {
        throw wrong(file, "node: " + failure.getMessage());
      }
      SortedMap<String, ServerConfig.Voter> voters = voters();
      ServerConfig.Voter self = voters.get(node.name());
      String listen = text("listen").orElse(self == null ? "" : self.address());
      if (listen.isEmpty()) {
        throw wrong(
            file, "listen: a node that is no voter must say where peers reach it, as HOST:PORT");
      }
      checkAddress("listen", listen);
      Optional<String> admin = text("admin.listen");
      admin.ifPresent(address -> checkAddress("admin.listen", address));
      Path meta = Path.of(text("meta").orElse("forebay-data/meta"));
      long replicas = number("replicas", 0, 0, 7);
      return new ServerConfig(
          node,
          text("domain").orElse(node.name()),
          secret(),
          listen,
          voters,
          data(),
          meta,
          door(meta),
          admin,
          keys(),
          cors(),
          store(),
          text("capacity").map(written -> Size.parse(file + ": capacity", written)).orElse(0L),
          text("capacity.reserve")
              .map(written -> OptionalLong.of(Size.parse(file + ": capacity.reserve", written)))
              .orElse(OptionalLong.empty()),
          text("segment")
              .map(written -> ServerConfig.parseSegment(file + ": segment", written))
              .orElse(256L << 20),
          text("memory").map(written -> Size.parse(file + ": memory", written)).orElse(0L),
          text("memoryTier")
              .map(written -> OptionalLong.of(Size.parse(file + ": memoryTier", written)))
              .orElse(OptionalLong.empty()),
          (int) replicas,
          text("grace")
              .map(written -> Span.parseMillis(file + ": grace", written))
              .orElse(120_000L),
          text("flushDelay")
              .map(written -> Span.parseMillis(file + ": flushDelay", written))
              .orElse(5_000L),
          capacity(),
          scrub(),
          leases(),
          flag("rebalance", true));
    }

    private CapacitySettings capacity() {
      double high = share("capacity.high", CapacitySettings.DEFAULT.high());
      double low = share("capacity.low", CapacitySettings.DEFAULT.low());
      if (low >= high) {
        throw wrong(
            file,
            "capacity.low: must be below capacity.high, and is " + low + ", that one " + high);
      }
      return new CapacitySettings(
          high, low, nanos("capacity.wait", CapacitySettings.DEFAULT.waitNanos()));
    }

    private Scrubber.Settings scrub() {
      return new Scrubber.Settings(
          text("scrub.rate")
              .map(written -> Size.parse(file + ": scrub.rate", written))
              .orElse(ServerConfig.DEFAULT_SCRUB.bytesPerSecond()),
          nanos("scrub.cycle", ServerConfig.DEFAULT_SCRUB.cycleNanos()));
    }

    private LeaseSettings leases() {
      long length = nanos("leases.length", 0);
      if (length > LeaseSettings.MAX_LENGTH_NANOS) {
        throw wrong(file, "leases.length: must be at most 1s");
      }
      return new LeaseSettings(
          length, nanos("leases.quiet", DEFAULT_QUIET_NANOS), list("leases.except"));
    }

    private long nanos(String name, long fallback) {
      return text(name)
          .map(written -> Span.parseMillis(file + ": " + name, written) * 1_000_000L)
          .orElse(fallback);
    }

    private List<String> list(String name) {
      JsonNode node = values.get(name);
      if (node == null) {
        return List.of();
      }
      if (!node.isArray()) {
        throw wrong(file, name + ": must be a list, such as [a, b]");
      }
      return node.valueStream().map(JsonNode::asString).toList();
    }

    private Optional<S3DoorConfig> door(Path meta) {
      var names =
          new S3DoorConfig.Names(
              file + ": ", "s3.listen", "s3.certificate", "s3.certificateKey", "s3.anonymous");
      Path beside = Optional.ofNullable(meta.toAbsolutePath().getParent()).orElse(meta);
      int connections =
          (int) number("s3.connections", S3DoorConfig.DEFAULT_CONNECTIONS, 1, 1_000_000);
      long idleMillis =
          text("s3.idle")
              .map(written -> Span.parseMillis(file + ": s3.idle", written))
              .orElse(S3DoorConfig.DEFAULT_IDLE_MILLIS);
      boolean anonymous = flag("s3.anonymous", false);
      return text("s3.listen")
          .map(listen ->
              S3DoorConfig.of(
                  names,
                  listen,
                  text("s3.certificate").map(Path::of),
                  text("s3.certificateKey").map(Path::of),
                  beside,
                  text("s3.domain"),
                  anonymous,
                  connections,
                  idleMillis));
    }

    private Optional<String> store() {
      Optional<String> url = text("store");
      try {
        url.ifPresent(each -> StoreFactory.check(each, Map.of()));
      } catch (ForebayException unknown) {
        throw wrong(file, "store: " + unknown.getMessage());
      }
      return url;
    }

    private List<ServerConfig.AccessKeyPair> keys() {
      var keys = new ArrayList<ServerConfig.AccessKeyPair>();
      Optional<String> id = text("s3.accessKeyId");
      Optional<String> secret = text("s3.secretAccessKey");
      if (id.isPresent() != secret.isPresent()) {
        throw wrong(file, "s3.accessKeyId and s3.secretAccessKey go together; one is missing");
      }
      id.ifPresent(known ->
          keys.add(new ServerConfig.AccessKeyPair(known, secret.orElseThrow(), List.of())));
      keys.addAll(S3Settings.keys(file + ": s3.keys", values.get("s3.keys")));
      if (keys.stream().map(ServerConfig.AccessKeyPair::id).distinct().count() < keys.size()) {
        throw wrong(file, "s3.keys: an accessKeyId stands there twice");
      }
      return keys;
    }

    private List<CorsRule> cors() {
      return S3Settings.cors(file + ": s3.cors", values.get("s3.cors"));
    }

    private SortedMap<String, ServerConfig.Voter> voters() {
      JsonNode node = values.get("voters");
      if (node == null || !node.isObject()) {
        throw wrong(
            file,
            "voters: must map 1, 3 or 5 node names to {address: HOST:PORT, consensus: HOST:PORT}");
      }
      var voters = new TreeMap<String, ServerConfig.Voter>();
      for (Map.Entry<String, JsonNode> entry : node.properties()) {
        for (String key : entry.getValue().propertyNames()) {
          if (!key.equals("address") && !key.equals("consensus")) {
            throw wrong(
                file,
                "voters."
                    + entry.getKey()
                    + ": unknown setting '"
                    + key
                    + "'; did you mean '"
                    + nearest(key, List.of("address", "consensus"))
                    + "'?");
          }
        }
        String address = entry.getValue().path("address").asString("");
        String consensus = entry.getValue().path("consensus").asString("");
        checkAddress("voters." + entry.getKey() + ".address", address);
        checkAddress("voters." + entry.getKey() + ".consensus", consensus);
        voters.put(entry.getKey(), new ServerConfig.Voter(address, consensus));
      }
      if (voters.size() != 1 && voters.size() != 3 && voters.size() != 5) {
        throw wrong(file, "voters: there must be 1, 3 or 5, and there are " + voters.size());
      }
      return voters;
    }

    private List<Path> data() {
      JsonNode node = values.get("data");
      var paths = new ArrayList<Path>();
      if (node == null) {
        paths.add(Path.of("forebay-data/disk0"));
      } else if (node.isArray()) {
        node.forEach(each -> paths.add(Path.of(each.asString())));
      } else {
        paths.add(Path.of(node.asString()));
      }
      if (paths.isEmpty()) {
        throw wrong(file, "data: name at least one directory");
      }
      return paths;
    }

    private String secret() {
      String secret =
          text("secretFile")
              .map(path -> {
                try {
                  return Files.readString(Path.of(path)).strip();
                } catch (IOException failure) {
                  throw wrong(file, "secretFile: " + path + " cannot be read: " + failure);
                }
              })
              .or(() -> text("secret"))
              .orElseThrow(() -> wrong(file, "secret: set it, or secretFile; all nodes share one"));
      if (secret.length() < 16) {
        throw wrong(file, "secret: must have at least 16 characters, and has " + secret.length());
      }
      return secret;
    }

    private void checkAddress(String name, String address) {
      if (!Addresses.isValid(address)) {
        throw wrong(file, name + ": '" + address + "' is no HOST:PORT, such as 127.0.0.1:7100");
      }
    }

    private String required(String name) {
      return text(name).orElseThrow(() -> wrong(file, name + ": is missing"));
    }

    private Optional<String> text(String name) {
      JsonNode node = values.get(name);
      if (node == null || node.isNull()) {
        return Optional.empty();
      }
      if (!node.isValueNode()) {
        throw wrong(file, name + ": must be a single value");
      }
      return Optional.of(node.asString()).filter(text -> !text.isEmpty());
    }

    private boolean flag(String name, boolean fallback) {
      return text(name)
          .map(text ->
              switch (text) {
                case "true" -> true;
                case "false" -> false;
                default ->
                    throw wrong(file, name + ": must be true or false, and is '" + text + "'");
              })
          .orElse(fallback);
    }

    private double share(String name, double fallback) {
      return text(name)
          .map(text -> {
            try {
              double value = Double.parseDouble(text);
              if (value > 0 && value < 1) {
                return value;
              }
            } catch (NumberFormatException failure) {
              // falls through to the one message
            }
            throw wrong(
                file,
                name + ": must be a share between 0 and 1, such as 0.8, and is '" + text + "'");
          })
          .orElse(fallback);
    }

    private long number(String name, long fallback, long least, long most) {
      return text(name)
          .map(text -> {
            try {
              long value = Long.parseLong(text);
              if (value >= least && value <= most) {
                return value;
              }
            } catch (NumberFormatException failure) {
              // falls through to the one message
            }
            throw wrong(
                file,
                name
                    + ": must be a number from "
                    + least
                    + " to "
                    + most
                    + ", and is '"
                    + text
                    + "'");
          })
          .orElse(fallback);
    }
  }
}
