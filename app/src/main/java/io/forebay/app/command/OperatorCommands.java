package io.forebay.app.command;

import io.forebay.app.config.Size;
import io.forebay.app.config.Span;
import io.forebay.backing.StoreFactory;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.PathStatus;
import io.forebay.core.file.PrefixStatus;
import io.forebay.core.file.StoreConflict;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.io.PrintStream;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;

/** The commands of whoever runs a cluster. */
public final class OperatorCommands {
  static final String EXAMPLE = "%nExample:%n";
  private static final String QUOTA =
      "How much the bucket may hold that is in no store, each byte counted once whatever the"
          + " replicas. What is flushed counts no more; what is deleted or overwritten counts until"
          + " the read grace is over. Beyond it, writers of a bucket with a store wait for the"
          + " flush, and then, or at once, get QUOTA_EXCEEDED.";
  private static final int SHOWN_TROUBLES = 10;
  private static final int TRIES = 20;
  private static final long PAUSE_NANOS = 200_000_000L;

  private OperatorCommands() {}

  /** {@code bucket}. */
  @Command(
      name = "bucket",
      description = "Creates, lists, changes and deletes buckets.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay bucket create checkpoints --replicas 2"},
      subcommands = {BucketCreate.class, BucketList.class, BucketSet.class, BucketDelete.class})
  public static final class BucketCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      missing(spec);
    }
  }

  static void missing(@Nullable CommandSpec spec) {
    if (spec != null) {
      throw new ParameterException(spec.commandLine(), "a sub-command is missing");
    }
  }

  /** {@code bucket create}. */
  @Command(
      name = "create",
      description = {
        "Creates a bucket.",
        "Without options it has the server's default replicas and store: published data are on that many"
            + " nodes when the write returns, and in the store some seconds later."
      },
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {
        "  forebay bucket create checkpoints --replicas 3 --store dir:/mnt/store --prefix-mode tmp/=CACHE_ONLY"
      })
  public static final class BucketCreate implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "NAME")
    private String name = "";

    @Option(
        names = "--replicas",
        paramLabel = "N",
        description = "Copies on different nodes, 1 to 7.")
    private @Nullable Integer replicas;

    @Option(
        names = "--min-in-sync",
        paramLabel = "N",
        description = "Copies without which no write is taken (default: 2, or 1 with one replica).")
    private @Nullable Integer minInSync;

    @Option(
        names = "--durability",
        description =
            "${COMPLETION-CANDIDATES}: SYNCED waits for the devices; with REPLICATED (the default)"
                + " what was written last may be lost if all members lose power at once.")
    private Durability durability = Durability.REPLICATED;

    @Option(
        names = "--store",
        paramLabel = "URL",
        description =
            "dir:PATH, azblob://ACCOUNT/CONTAINER[/PREFIX], s3://BUCKET[/PREFIX][?endpoint=URL...], or 'none' for a bucket that lives in the cache only.")
    private @Nullable String store;

    @Option(
        names = "--mode",
        description =
            "${COMPLETION-CANDIDATES}: BACK flushes seconds after a publish, THROUGH before it returns"
                + " (default: BACK with a store).")
    private @Nullable FlushMode mode;

    @Option(
        names = "--prefix-mode",
        paramLabel = "PREFIX=MODE",
        description = "Another mode for a prefix; may be repeated.")
    private List<String> prefixModes = List.of();

    @Option(
        names = "--chunk-size",
        paramLabel = "SIZE",
        description = "1MiB to 64MiB, a power of two (default: 16MiB).")
    private String chunkSize = "16MiB";

    @Option(
        names = "--flush-delay",
        paramLabel = "SPAN",
        description = "From publish to flush (default: the server's).")
    private @Nullable String flushDelay;

    @Option(
        names = "--read-grace",
        paramLabel = "SPAN",
        description = "How long an overwritten generation stays readable (default: 10m).")
    private String readGrace = "10m";

    @Option(names = "--quota", paramLabel = "SIZE", description = QUOTA + " (default: none).")
    private @Nullable String quota;

    @Option(names = "--json", description = "The bucket as JSON.")
    private boolean json;

    @Override
    public Integer call() {
      long quotaBytes = quota == null ? 0 : quota(quota); // before anything is made
      try (Connection connection = connect.open()) {
        JsonNode defaults = Json.parse(connection.files().report()).path("defaults");
        int copies = Optional.ofNullable(replicas).orElse(defaults.path("replicas").asInt(1));
        int least = Optional.ofNullable(minInSync).orElse(Math.min(2, copies));
        String url = Optional.ofNullable(store).orElse(defaults.path("store").asString(""));
        if (url.equals("none")) {
          url = "";
        }
        if (!url.isEmpty()) {
          StoreFactory.check(url, Map.of()); // credentials are the servers'
        }
        FlushMode chosen =
            Optional.ofNullable(mode).orElse(url.isEmpty() ? FlushMode.CACHE_ONLY : FlushMode.BACK);
        if (url.isEmpty() && chosen != FlushMode.CACHE_ONLY) {
          throw invalid("--mode " + chosen + " needs a store; say --store URL");
        }
        Bucket bucket;
        try {
          bucket =
              connection
                  .files()
                  .createBucket(
                      new BucketSpec(
                          name,
                          new Family(copies, least, durability),
                          url,
                          chosen,
                          modes(prefixModes),
                          Math.toIntExact(Size.parse("--chunk-size", chunkSize)),
                          flushDelay == null
                              ? defaults.path("flushDelayMillis").asLong(5_000)
                              : Span.parseMillis("--flush-delay", flushDelay),
                          Span.parseMillis("--read-grace", readGrace)));
        } catch (IllegalArgumentException | ArithmeticException wrong) {
          throw invalid(String.valueOf(wrong.getMessage()));
        }
        if (quotaBytes > 0) {
          connection.files().setQuota(name, quotaBytes);
        }
        System.out.println(json ? Json.of(bucket) : line(bucket));
        return 0;
      }
    }
  }

  /** 0: none. */
  private static long quota(String text) {
    return text.equals("none") ? 0 : Size.parse("--quota", text);
  }

  static ForebayException invalid(String message) {
    return new ForebayException(ErrorCode.INVALID_ARGUMENT, message);
  }

  /** {@code bucket set}. */
  @Command(
      name = "set",
      description = {
        "Changes a bucket's flush policy, for what is published from now on, and its quota.",
        "Replicas, durability and store stay: make another bucket and copy with `forebay cp`."
      },
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {
        "  forebay bucket set checkpoints --flush-delay 1m",
        "  forebay bucket set scratch --quota 500GiB"
      })
  public static final class BucketSet implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Spec private CommandSpec spec = CommandSpec.create();

    @Parameters(paramLabel = "NAME")
    private String name = "";

    @Option(
        names = "--mode",
        description =
            "${COMPLETION-CANDIDATES}: BACK flushes seconds after a publish, THROUGH before it returns.")
    private @Nullable FlushMode mode;

    @Option(
        names = "--prefix-mode",
        paramLabel = "PREFIX=MODE",
        description =
            "Another mode for a prefix; may be repeated, and replaces all that were set before."
                + " 'none' leaves none.")
    private List<String> prefixModes = List.of();

    @Option(names = "--flush-delay", paramLabel = "SPAN", description = "From publish to flush.")
    private @Nullable String flushDelay;

    @Option(
        names = "--read-grace",
        paramLabel = "SPAN",
        description = "How long an overwritten generation stays readable.")
    private @Nullable String readGrace;

    @Option(names = "--quota", paramLabel = "SIZE", description = QUOTA + " 'none' takes it away.")
    private @Nullable String quota;

    @Option(names = "--json", description = "The bucket as JSON.")
    private boolean json;

    @Override
    public Integer call() {
      if (mode == null
          && prefixModes.isEmpty()
          && flushDelay == null
          && readGrace == null
          && quota == null) {
        throw new ParameterException(spec.commandLine(), "nothing is to be changed");
      }
      try (Connection connection = connect.open()) {
        Bucket _ =
            changed(require(connection, name)); // what is wrong is said before anything is done
        if (quota != null) {
          connection.files().setQuota(name, quota(quota));
        }
        var changed = new ArrayList<Bucket>();
        int code =
            told(
                again(() -> {
                  Bucket old = require(connection, name);
                  Bucket wanted = changed(old);
                  changed.add(wanted);
                  if (mode == null
                      && prefixModes.isEmpty()
                      && flushDelay == null
                      && readGrace == null) {
                    return new ClusterResult.Done(0); // the quota alone, which is set
                  }
                  // Also where it is so already: what was seen may be old.
                  return connection.operate(
                      new ClusterCommand.ReplaceBucket(
                          old,
                          wanted.mode(),
                          wanted.prefixModes(),
                          wanted.flushDelayMillis(),
                          wanted.readGraceMillis()));
                }),
                System.out);
        if (code == 0) {
          System.out.println(json ? Json.of(changed.getLast()) : line(changed.getLast()));
        }
        return code;
      }
    }

    private Bucket changed(Bucket old) {
      return new Bucket(
          old.id(),
          old.name(),
          old.family(),
          old.storeUrl(),
          Optional.ofNullable(mode).orElse(old.mode()),
          prefixModes.isEmpty() ? old.prefixModes() : modes(prefixModes),
          old.chunkBytes(),
          flushDelay == null
              ? old.flushDelayMillis()
              : Span.parseMillis("--flush-delay", flushDelay),
          readGrace == null ? old.readGraceMillis() : Span.parseMillis("--read-grace", readGrace),
          old.createdMillis());
    }
  }

  static Bucket require(Connection connection, String name) {
    return connection
        .files()
        .bucket(name)
        .orElseThrow(() ->
            new ForebayException(
                ErrorCode.NO_SUCH_BUCKET,
                "there is no bucket '" + name + "'; `forebay bucket list` shows which are"));
  }

  private static List<Bucket.PrefixMode> modes(List<String> texts) {
    if (texts.equals(List.of("none"))) {
      return List.of();
    }
    var modes = new ArrayList<Bucket.PrefixMode>();
    for (String text : texts) {
      int equals = text.lastIndexOf('=');
      if (equals < 0) {
        throw invalid("--prefix-mode: '" + text + "' is not PREFIX=MODE, such as tmp/=CACHE_ONLY");
      }
      modes.add(new Bucket.PrefixMode(text.substring(0, equals), mode(text.substring(equals + 1))));
    }
    return modes;
  }

  private static FlushMode mode(String text) {
    try {
      return FlushMode.valueOf(text.toUpperCase(Locale.ROOT).replace('-', '_'));
    } catch (IllegalArgumentException unknown) {
      throw invalid("'" + text + "' is no flush mode; write BACK, THROUGH or CACHE_ONLY");
    }
  }

  private static String line(Bucket bucket) {
    var exceptions = new StringBuilder();
    bucket
        .prefixModes()
        .forEach(
            each -> exceptions.append("  ").append(each.prefix()).append('=').append(each.mode()));
    return String.format(
        Locale.ROOT,
        "%-24s replicas %d (at least %d)  %-10s  %s%s",
        bucket.name(),
        bucket.family().replicas(),
        bucket.family().minInSync(),
        bucket.mode(),
        bucket.storeUrl().isEmpty() ? "no store" : bucket.storeUrl(),
        exceptions);
  }

  /** {@code bucket list}. */
  @Command(
      name = "list",
      description = "Lists buckets with their policies.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay bucket list"})
  public static final class BucketList implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Option(names = "--json", description = "One JSON array.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        List<Bucket> buckets = connection.files().listBuckets();
        if (json) {
          System.out.println(Json.of(buckets));
          return 0;
        }
        for (Bucket bucket : buckets) {
          System.out.println(line(bucket));
        }
        return 0;
      }
    }
  }

  /** {@code bucket delete}. */
  @Command(
      name = "delete",
      description = {
        "Deletes an empty bucket.",
        "`forebay rm -r --all NAME/` empties it. Waits until its store has followed the deletions."
      },
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay bucket delete checkpoints"})
  public static final class BucketDelete implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "NAME")
    private String name = "";

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        connection.files().deleteBucket(name);
        return 0;
      }
    }
  }

  /** {@code flush}. */
  @Command(
      name = "flush",
      description = "Flushes what is below BUCKET/PREFIX now instead of later.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay flush --wait checkpoints/step-7/"})
  public static final class FlushCommand implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET[/PREFIX]", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Option(names = "--wait", description = "Returns when the store has all of it, or it cannot.")
    private boolean wait;

    @Option(names = "--timeout", paramLabel = "SPAN", description = "Longest wait (default: 10m).")
    private String timeout = "10m";

    @Option(names = "--json", description = "JSON instead of lines.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        long end = System.nanoTime() + Span.parseMillis("--timeout", timeout) * 1_000_000;
        FlushReport report;
        do {
          long left = wait ? Math.min(5_000_000_000L, Math.max(0, end - System.nanoTime())) : 0;
          report = connection.files().flush(path.bucket(), path.key(), left);
        } while (wait && !report.ended() && System.nanoTime() < end);
        if (json) {
          System.out.println(Json.of(report));
        } else {
          System.out.printf(
              Locale.ROOT,
              "%d objects are in the store, %d are on their way (%s)%n",
              report.flushed(),
              report.waiting(),
              Size.format(report.waitingBytes()));
          report
              .troubled()
              .forEach(trouble ->
                  System.out.println(
                      trouble.key() + ": " + trouble.state() + ": " + trouble.reason()));
        }
        return !wait || report.complete() ? 0 : 1;
      }
    }
  }

  /** {@code conflict}. */
  @Command(
      name = "conflict",
      description = "Objects that someone else wrote in the store while ours waited to be flushed.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay conflict list checkpoints"},
      subcommands = {ConflictList.class, ConflictKeep.class, ConflictTake.class})
  public static final class ConflictCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      missing(spec);
    }
  }

  /** {@code conflict list}. */
  @Command(
      name = "list",
      description = "Lists the conflicts of a bucket.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay conflict list checkpoints"})
  public static final class ConflictList implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET")
    private String bucket = "";

    @Option(names = "--json", description = "One JSON array.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        List<StoreConflict> conflicts = connection.files().conflicts(bucket);
        if (json) {
          System.out.println(Json.of(conflicts));
        } else {
          conflicts.forEach(conflict ->
              System.out.println(
                  conflict.key()
                      + "  ours "
                      + conflict.generation()
                      + "  theirs "
                      + conflict.storeEtag()
                      + "  "
                      + conflict.reason()));
        }
        return 0;
      }
    }
  }

  private static int resolve(
      Connect connect, RemotePath path, StoreConflict.Resolution resolution) {
    try (Connection connection = connect.open()) {
      String key = path.requireKey().key();
      for (StoreConflict conflict : connection.files().conflicts(path.bucket())) {
        if (conflict.key().equals(key)) {
          connection
              .files()
              .resolveConflict(
                  path.bucket(), key, resolution, conflict.generation(), conflict.storeEtag());
          return 0;
        }
      }
      System.err.println(
          "forebay: " + path + " is in no conflict; `forebay conflict list` shows which are");
      return 1;
    }
  }

  /** {@code conflict keep}. */
  @Command(
      name = "keep",
      description = "Ours overwrites theirs.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay conflict keep checkpoints/step-7/rank-0"})
  public static final class ConflictKeep implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET/KEY", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Override
    public Integer call() {
      return resolve(connect, path, StoreConflict.Resolution.KEEP);
    }
  }

  /** {@code conflict take}. */
  @Command(
      name = "take",
      description = "Theirs becomes visible, ours is dropped.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay conflict take checkpoints/step-7/rank-0"})
  public static final class ConflictTake implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET/KEY", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Override
    public Integer call() {
      return resolve(connect, path, StoreConflict.Resolution.TAKE);
    }
  }

  /** {@code node}. */
  @Command(
      name = "node",
      description = "Lists and drains nodes.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay node list"},
      subcommands = {NodeList.class, NodeDrain.class, NodeForget.class, GroupSalvage.class})
  public static final class NodeCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      missing(spec);
    }
  }

  /** {@code node list}. */
  @Command(
      name = "list",
      description = "Lists the nodes and their state.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay node list --json"})
  public static final class NodeList implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Option(names = "--json", description = "One JSON array.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        JsonNode nodes = Json.parse(connection.files().report()).path("nodes");
        if (json) {
          System.out.println(Json.of(nodes));
        } else {
          StatusCommand.printNodes(nodes);
        }
        return 0;
      }
    }
  }

  private static int operate(Connect connect, ClusterCommand command) {
    try (Connection connection = connect.open()) {
      return operate(connection, command);
    }
  }

  /**
   * Does once more what depends on what was seen just before, where that has changed meanwhile:
   * somebody else was faster, or the node that was asked is behind by a moment.
   */
  static ClusterResult again(Supplier<ClusterResult> change) {
    for (int tries = 1; ; tries++) {
      try {
        ClusterResult result = change.get();
        if (!(result instanceof ClusterResult.Refused(var code, var _)
            && code == ErrorCode.CONCURRENT_CHANGE
            && tries < TRIES)) {
          return result;
        }
      } catch (ForebayException failure) {
        if (failure.code() != ErrorCode.CONCURRENT_CHANGE || tries == TRIES) {
          throw failure;
        }
      }
      LockSupport.parkNanos(PAUSE_NANOS);
    }
  }

  static int operate(Connection connection, ClusterCommand command) {
    return told(connection.operate(command), System.out);
  }

  /** What only the control plane can say, such as what is lost, is said on. */
  static int told(ClusterResult result, PrintStream out) {
    return switch (result) {
      case ClusterResult.Done(_, var note) -> {
        if (!note.isEmpty()) {
          out.println(note);
        }
        yield 0;
      }
      case ClusterResult.Refused(var code, var message) -> {
        System.err.println("forebay: " + code + ": " + message);
        yield 1;
      }
    };
  }

  static VolumeId volume(String text) {
    try {
      if (text.startsWith("v")) {
        return new VolumeId(Long.parseUnsignedLong(text.substring(1), 16));
      }
    } catch (NumberFormatException wrong) {
      // said below
    }
    throw invalid(
        "'"
            + text
            + "' is no volume: one is written like v3f2a, as `forebay node salvage` says it");
  }

  private static NodeId nodeId(String name) {
    try {
      return new NodeId(name);
    } catch (IllegalArgumentException wrong) {
      throw invalid(wrong.getMessage() + "; `forebay node list` shows which there are");
    }
  }

  /** {@code node drain}. */
  @Command(
      name = "drain",
      description =
          "Moves everything off a node, which serves on meanwhile. It may go once `status` says that it"
              + " is in no group, unless it is a voter. Copies never fall below what is wanted.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay node drain c", "  forebay node drain c --undo"})
  public static final class NodeDrain implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "NODE")
    private String node = "";

    @Option(names = "--undo", description = "Takes new data again.")
    private boolean undo;

    @Override
    public Integer call() {
      return operate(connect, new ClusterCommand.Drain(nodeId(node), !undo));
    }
  }

  /** {@code node forget}. */
  @Command(
      name = "forget",
      description = "Removes a drained or lost node from the cluster.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay node forget c"})
  public static final class NodeForget implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "NODE")
    private String node = "";

    @Override
    public Integer call() {
      return operate(connect, new ClusterCommand.ForgetNode(nodeId(node)));
    }
  }

  /** {@code node salvage}. */
  @Command(
      name = "salvage",
      description = {
        "Gives up the members of a group that stay away; says what is lost.",
        "Without --give-up it changes nothing and says who is away."
      },
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay node salvage 17", "  forebay node salvage 17 --give-up v3f2a,v71c0"})
  public static final class GroupSalvage implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "GROUP")
    private int group;

    @Option(
        names = "--give-up",
        paramLabel = "VOLUME",
        split = ",",
        description =
            "Those that are away and never come back, all of them; refused where others are away"
                + " by then.")
    private List<String> volumes = List.of();

    @Override
    public Integer call() {
      List<VolumeId> givenUp = volumes.stream().map(OperatorCommands::volume).toList();
      return operate(connect, new ClusterCommand.GiveUp(new GroupId(group), givenUp));
    }
  }

  /** {@code status}. */
  @Command(
      name = "status",
      description = {
        "What the cluster is doing now; with BUCKET/KEY, where an object's copies are, whether the store has it,"
            + " and what would be lost if a node died: \"may I kill this node?\" With BUCKET or BUCKET/PREFIX/, what of"
            + " all that is below is in no store, since when, and in how many copies."
      },
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {
        "  forebay status --watch",
        "  forebay status checkpoints/step-7/rank-0",
        "  forebay status checkpoints/step-7/"
      })
  public static final class StatusCommand implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(
        arity = "0..1",
        paramLabel = "BUCKET[/PATH]",
        converter = RemotePath.Converter.class)
    private List<RemotePath> paths = List.of();

    @Option(names = "--watch", description = "Again every second, until interrupted.")
    private boolean watch;

    @Option(names = "--json", description = "JSON instead of lines.")
    private boolean json;

    @Override
    public Integer call() throws InterruptedException {
      if (!watch) {
        look();
        return 0;
      }
      while (true) {
        if (!json) {
          System.out.print("\u001b[H\u001b[2J");
        }
        try {
          look();
        } catch (ForebayException failure) {
          // Whoever watches wants to see it come back, too.
          System.err.println("forebay: " + failure.code() + ": " + failure.getMessage());
        }
        Thread.sleep(1_000);
      }
    }

    private void look() {
      try (Connection connection = connect.open()) {
        if (paths.isEmpty()) {
          printReport(
              Json.parse(connection.files().report()),
              byBucket(
                  connection.files(),
                  "what is still to be flushed",
                  bucket -> !bucket.storeUrl().isEmpty(),
                  bucket -> connection.files().flushStatus(bucket.name(), "")),
              byBucket(
                  connection.files(),
                  "what is held",
                  bucket -> true,
                  bucket -> connection.files().use(bucket.name())));
        } else {
          printPath(connection.files(), paths.getFirst());
        }
        System.out.flush();
      }
    }

    /** A fact of each bucket by its name; what cannot be asked for now is left out. */
    private static <T> Map<String, T> byBucket(
        FileService files, String fact, Predicate<Bucket> which, Function<Bucket, T> ask) {
      var facts = new TreeMap<String, T>();
      for (Bucket bucket : files.listBuckets()) {
        if (which.test(bucket)) {
          try {
            facts.put(bucket.name(), ask.apply(bucket));
          } catch (ForebayException failure) {
            System.err.println(
                "forebay: bucket '"
                    + bucket.name()
                    + "': "
                    + fact
                    + " is not known now: "
                    + failure.getMessage());
          }
        }
      }
      return facts;
    }

    private void printReport(
        JsonNode root, Map<String, FlushReport> backlogs, Map<String, BucketUse> uses) {
      if (json) {
        var facts = new LinkedHashMap<String, Object>();
        root.properties().forEach(entry -> facts.put(entry.getKey(), entry.getValue()));
        facts.put("backlogs", backlogs);
        facts.put("uses", uses);
        System.out.println(Json.of(facts));
        return;
      }
      System.out.println(
          "cluster "
              + root.path("clusterId").asString("")
              + ", asked of node "
              + root.path("node").asString(""));
      printNodes(root.path("nodes"));
      JsonNode groups = root.path("groups");
      System.out.printf(
          Locale.ROOT,
          "groups: %d, of which %d at full strength, %d degraded, %d take no writes; %d members catching up%n",
          groups.path("total").asInt(),
          groups.path("full").asInt(),
          groups.path("degraded").asInt(),
          groups.path("unwritable").asInt(),
          groups.path("syncing").asInt());
      int awaited = groups.path("awaitedNodes").asInt();
      if (awaited > 0) {
        System.out.printf(
            Locale.ROOT,
            "%d nodes are away, more than a tenth: their volumes are waited for, not replaced;"
                + " 'forebay node drain NAME' gives one up%n",
            awaited);
      }
      for (JsonNode move : root.path("moves")) {
        System.out.printf(
            Locale.ROOT,
            "rebalancing: group %d moves from node %s to node %s%n",
            move.path("group").asInt(),
            move.path("from").asString(""),
            move.path("to").asString(""));
      }
      JsonNode resync = root.path("resync");
      System.out.printf(
          Locale.ROOT,
          "re-sync of this node since its start: %s missed, %s moved%n",
          Size.format(resync.path("missedBytes").asLong()),
          Size.format(resync.path("movedBytes").asLong()));
      uses.forEach((bucket, use) -> {
        if (use.heldBytes() > 0 || use.quotaBytes() > 0) {
          System.out.printf(
              Locale.ROOT,
              "bucket %s: holds %s that is in no store%s%n",
              bucket,
              Size.format(use.heldBytes()),
              use.quotaBytes() > 0 ? ", of a quota of " + Size.format(use.quotaBytes()) : "");
        }
      });
      backlogs.forEach((bucket, report) -> {
        System.out.printf(
            Locale.ROOT,
            "bucket %s: %d objects in its store, %d on their way (%s)%n",
            bucket,
            report.flushed(),
            report.waiting(),
            Size.format(report.waitingBytes()));
        report.troubled().stream()
            .limit(SHOWN_TROUBLES)
            .forEach(trouble ->
                System.out.println(
                    "  " + trouble.key() + ": " + trouble.state() + ": " + trouble.reason()));
        if (report.troubled().size() > SHOWN_TROUBLES) {
          System.out.println(
              "  and more; `forebay flush " + bucket + "` shows up to a thousand, and tries again");
        }
      });
    }

    static void printNodes(JsonNode nodes) {
      for (JsonNode node : nodes) {
        System.out.printf(
            Locale.ROOT,
            "%-16s %-8s %-22s domain %-12s in %s%s%n",
            node.path("name").asString(""),
            node.path("state").asString(""),
            node.path("address").asString(""),
            node.path("domain").asString(""),
            node.path("groups").asInt() == 0 ? "no group" : node.path("groups").asInt() + " groups",
            node.path("usedBytes").isNumber()
                ? ", " + Size.format(node.path("usedBytes").asLong()) + " used"
                : "");
        String slow = node.path("slow").asString("");
        if (!slow.isEmpty()) {
          System.out.println("  takes no writes, for it is slow, " + slow);
        }
      }
    }

    private void printPath(FileService files, RemotePath path) {
      if (path.key().isEmpty() || path.key().endsWith("/")) {
        printPrefix(path, files.prefixStatus(path.bucket(), path.key()));
        return;
      }
      try {
        printObject(files.pathStatus(path.bucket(), path.key()));
      } catch (ForebayException failure) {
        var below = new RemotePath(path.bucket(), path.key() + "/");
        if (failure.code() != ErrorCode.NOT_FOUND) {
          throw failure;
        }
        PrefixStatus status = files.prefixStatus(below.bucket(), below.key());
        if (status.objects() == 0) {
          throw failure;
        }
        printPrefix(below, status);
      }
    }

    private void printPrefix(RemotePath path, PrefixStatus status) {
      if (json) {
        System.out.println(Json.of(status));
        return;
      }
      System.out.printf(
          Locale.ROOT,
          "%s/%s: %d objects (%s); in no store: %d (%s)%n",
          path.bucket(),
          path.key(),
          status.objects(),
          Size.format(status.bytes()),
          status.heldObjects(),
          Size.format(status.heldBytes()));
      if (status.heldObjects() == 0) {
        System.out.println("  if all caches were lost: nothing would be lost");
        return;
      }
      System.out.printf(
          Locale.ROOT,
          "  the oldest since %s; %d are never to go to a store%n",
          Instant.ofEpochMilli(status.oldestMillis()),
          status.neverFlushed());
      for (PrefixStatus.Copies each : status.copies()) {
        System.out.printf(
            Locale.ROOT, "  %d copies: %s%n", each.copies(), Size.format(each.bytes()));
      }
      if (status.inLogBytes() > 0) {
        System.out.printf(
            Locale.ROOT, "  of them at the voters: %s%n", Size.format(status.inLogBytes()));
      }
      if (status.unknownBytes() > 0) {
        System.out.printf(
            Locale.ROOT, "  copies not looked at: %s%n", Size.format(status.unknownBytes()));
      }
      int most = status.copies().stream().mapToInt(PrefixStatus.Copies::copies).max().orElse(0);
      if (status.unknownBytes() > 0) {
        most = Math.max(most, 1);
      }
      for (int nodes = 1; nodes <= most; nodes++) {
        long lost = status.lostWith(nodes);
        System.out.printf(
            Locale.ROOT,
            "  if %d node%s died at once: %s%n",
            nodes,
            nodes == 1 ? "" : "s",
            lost == 0 ? "nothing would be lost" : "up to " + Size.format(lost) + " WOULD BE LOST");
      }
      System.out.printf(
          Locale.ROOT,
          "  if all caches were lost: %d objects, %s, WOULD BE LOST%n",
          status.heldObjects(),
          Size.format(status.heldBytes()));
    }

    private void printObject(PathStatus status) {
      if (json) {
        System.out.println(Json.of(status));
        return;
      }
      System.out.printf(
          Locale.ROOT,
          "%s/%s: %s, %s; %d of %d copies of its weakest chunk%n",
          status.info().bucket(),
          status.info().key(),
          Size.format(status.info().lengthBytes()),
          status.info().flush(),
          status.fewestCopies(),
          status.wantedCopies());
      if (!status.flushReason().isEmpty()) {
        System.out.println("  not in the store: " + status.flushReason());
      }
      for (PathStatus.Holder holder : status.holders()) {
        System.out.printf(
            Locale.ROOT,
            "  %-16s %-8s %d chunks, %s%n",
            holder.node(),
            holder.state(),
            holder.chunks(),
            Size.format(holder.bytes()));
      }
      for (PathStatus.NodeLoss loss : status.losses()) {
        System.out.println(
            loss.lostBytes() == 0
                ? "  if "
                    + loss.node()
                    + " died: nothing would be lost, "
                    + loss.fewestCopiesLeft()
                    + " copies would be left"
                : "  if "
                    + loss.node()
                    + " died: "
                    + Size.format(loss.lostBytes())
                    + " WOULD BE LOST");
      }
    }
  }
}
