package io.forebay.app.command;

import io.forebay.app.config.Span;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.PrefixPolicy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** What is kept below prefixes: {@code policy}. */
public final class PolicyCommands {
  private PolicyCommands() {}

  /** {@code policy}. */
  @Command(
      name = "policy",
      description = "What is kept of checkpoints below a prefix, and which go to the store.",
      mixinStandardHelpOptions = true,
      footerHeading = OperatorCommands.EXAMPLE,
      footer = {
        "  forebay policy set checkpoints/run1 --marker .metadata --keep-last 3 --flush-every 10"
      },
      subcommands = {PolicySet.class, PolicyList.class, PolicyDelete.class})
  public static final class PolicyCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      OperatorCommands.missing(spec);
    }
  }

  /** A policy with its bucket's name. */
  record Shown(String bucket, PrefixPolicy policy) {
    String line() {
      var text = new StringBuilder(bucket + "/" + policy.prefix());
      if (policy.ofCheckpoints()) {
        text.append("  marker ").append(policy.marker());
      }
      if (policy.keepLast() > 0) {
        text.append("  keeps the last ").append(policy.keepLast());
      }
      if (policy.flushEvery() > 0) {
        text.append("  flushes one of ").append(policy.flushEvery());
      }
      if (policy.expireMillis() > 0) {
        text.append("  expires after ").append(Span.format(policy.expireMillis()));
      }
      return text.toString();
    }
  }

  /** {@code policy set}. */
  @Command(
      name = "set",
      description = {
        "Sets the policy of a prefix, in place of the one it had.",
        "A checkpoint is a directory directly below the prefix; it is complete once it holds the marker. Only what"
            + " the store neither has nor is to get is ever deleted, and never the newest complete checkpoint."
      },
      mixinStandardHelpOptions = true,
      footerHeading = OperatorCommands.EXAMPLE,
      footer = {
        "  forebay policy set checkpoints/run1 --marker .metadata --keep-last 3 --flush-every 10",
        "  forebay policy set scratch --expire 2d"
      })
  public static final class PolicySet implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET[/PREFIX]", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Option(
        names = "--marker",
        paramLabel = "FILE",
        description =
            "The file that is written last into a checkpoint's directory, such as .metadata or"
                + " _SUCCESS. Until it is there, listings from above leave the directory out.")
    private String marker = "";

    @Option(
        names = "--keep-last",
        paramLabel = "K",
        description =
            "When K newer ones are complete, a complete checkpoint that is in no store is deleted;"
                + " one that is in the store is left to eviction.")
    private int keepLast;

    @Option(
        names = "--flush-every",
        paramLabel = "N",
        description =
            "Of the complete checkpoints the N-th, the 2N-th and so on go to the store, each with"
                + " its marker last; the others stay in the cache only. Makes the prefix"
                + " CACHE_ONLY.")
    private int flushEvery;

    @Option(
        names = "--expire",
        paramLabel = "SPAN",
        description =
            "What is in no store and is not to go there is deleted so long after it was published:"
                + " with a marker, checkpoints (also begun ones) as a whole; without, each object."
                + " Set it well above what a checkpoint takes.")
    private @Nullable String expire;

    @Option(names = "--json", description = "The policy as JSON.")
    private boolean json;

    @Override
    public Integer call() {
      PrefixPolicy policy;
      try {
        policy =
            new PrefixPolicy(
                prefix(path),
                marker,
                keepLast,
                flushEvery,
                expire == null ? 0 : Span.parseMillis("--expire", expire));
      } catch (IllegalArgumentException wrong) {
        throw OperatorCommands.invalid(wrong.getMessage() + "; see `forebay policy set --help`");
      }
      try (Connection connection = connect.open()) {
        Bucket bucket = OperatorCommands.require(connection, path.bucket());
        if (flushEvery > 0 && bucket.storeUrl().isEmpty()) {
          throw OperatorCommands.invalid(
              "--flush-every: the bucket '" + bucket.name() + "' has no store");
        }
        int code = replace(connection, bucket.name(), policy.prefix(), Optional.of(policy));
        if (code == 0) {
          var shown = new Shown(bucket.name(), policy);
          System.out.println(json ? Json.of(shown) : shown.line());
        }
        return code;
      }
    }
  }

  private static String prefix(RemotePath path) {
    return path.key().isEmpty() || path.key().endsWith("/") ? path.key() : path.key() + "/";
  }

  /**
   * Sets or takes away the policy of a prefix, and with it what of it is flushed. In the order in
   * which nothing is ever cache-only without a policy that flushes some of it. Where somebody else
   * changes the same, whatever policy is in force at last decides.
   */
  private static int replace(
      Connection connection, String name, String prefix, Optional<PrefixPolicy> policy) {
    Optional<PrefixPolicy> old = policy(connection, name, prefix);
    if (old.isEmpty() && policy.isEmpty()) {
      throw new ForebayException(
          ErrorCode.NOT_FOUND,
          "there is no policy of "
              + name
              + "/"
              + prefix
              + "; `forebay policy list` shows which are");
    }
    // What a policy held is no policy's any more when the last one that flushes some of it is gone.
    var met = new ArrayList<PrefixPolicy>();
    old.ifPresent(met::add);
    policy.ifPresent(met::add);
    if (policy.filter(PolicyCommands::flushesSome).isEmpty()
        && met.stream().anyMatch(PolicyCommands::flushesSome)) {
      int code = hold(connection, name, prefix, false);
      if (code != 0) {
        return code;
      }
    }
    OperatorCommands.again(() -> {
      List<PrefixPolicy> before = connection.files().policies(name);
      before.stream().filter(each -> each.prefix().equals(prefix)).forEach(met::add);
      var after = new ArrayList<>(before);
      after.removeIf(each -> each.prefix().equals(prefix));
      policy.ifPresent(after::add);
      after.sort(Comparator.comparing(PrefixPolicy::prefix));
      connection.files().setPolicies(name, before, after);
      return new ClusterResult.Done(0);
    });
    boolean on;
    do {
      on = policy(connection, name, prefix).filter(PolicyCommands::flushesSome).isPresent();
      if (on || met.stream().anyMatch(PolicyCommands::flushesSome)) {
        int code = hold(connection, name, prefix, on);
        if (code != 0) {
          return code;
        }
      }
    } while (policy(connection, name, prefix).filter(PolicyCommands::flushesSome).isPresent()
        != on);
    if (!policy(connection, name, prefix).equals(policy)) {
      throw new ForebayException(
          ErrorCode.CONCURRENT_CHANGE,
          "somebody else has just changed the policy of "
              + name
              + "/"
              + prefix
              + "; `forebay policy list` shows which are");
    }
    return 0;
  }

  private static Optional<PrefixPolicy> policy(Connection connection, String name, String prefix) {
    return connection.files().policies(name).stream()
        .filter(each -> each.prefix().equals(prefix))
        .findFirst();
  }

  private static boolean flushesSome(PrefixPolicy policy) {
    return policy.flushEvery() > 0;
  }

  /** Has what is published below a prefix held in the cache, or flushed as the bucket says. */
  private static int hold(Connection connection, String name, String prefix, boolean on) {
    var held = new Bucket.PrefixMode(prefix, FlushMode.CACHE_ONLY);
    return OperatorCommands.told(
        OperatorCommands.again(() -> {
          Bucket bucket = OperatorCommands.require(connection, name);
          var modes = new ArrayList<>(bucket.prefixModes());
          // Where it is so already the log is asked all the same: what was seen may be old.
          if (on && !modes.contains(held)) {
            modes.removeIf(each -> each.prefix().equals(prefix));
            modes.add(held);
          } else if (!on) {
            modes.remove(held);
          }
          return connection.operate(
              new ClusterCommand.ReplaceBucket(
                  bucket,
                  bucket.mode(),
                  modes,
                  bucket.flushDelayMillis(),
                  bucket.readGraceMillis()));
        }),
        System.out);
  }

  /** {@code policy list}. */
  @Command(
      name = "list",
      description = "Lists policies, of one bucket or of all.",
      mixinStandardHelpOptions = true,
      footerHeading = OperatorCommands.EXAMPLE,
      footer = {"  forebay policy list checkpoints"})
  public static final class PolicyList implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(arity = "0..1", paramLabel = "BUCKET")
    private @Nullable String bucket;

    @Option(names = "--json", description = "One JSON array.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        List<String> buckets =
            bucket == null
                ? connection.files().listBuckets().stream().map(Bucket::name).toList()
                : List.of(bucket);
        List<Shown> shown =
            buckets.stream()
                .flatMap(name ->
                    connection.files().policies(name).stream()
                        .map(policy -> new Shown(name, policy)))
                .toList();
        if (json) {
          System.out.println(Json.of(shown));
        } else {
          shown.forEach(each -> System.out.println(each.line()));
        }
        return 0;
      }
    }
  }

  /** {@code policy delete}. */
  @Command(
      name = "delete",
      description = {
        "Takes the policy of a prefix away; nothing more is deleted by it.",
        "What it held in the cache only stays there; what is published from now on is flushed as the bucket says."
      },
      mixinStandardHelpOptions = true,
      footerHeading = OperatorCommands.EXAMPLE,
      footer = {"  forebay policy delete checkpoints/run1"})
  public static final class PolicyDelete implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET[/PREFIX]", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        Bucket bucket = OperatorCommands.require(connection, path.bucket());
        return replace(connection, bucket.name(), prefix(path), Optional.empty());
      }
    }
  }
}
