package io.forebay.app.command;

import io.forebay.app.config.Size;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/** The commands that move and show objects. */
public final class DataCommands {
  private static final String EXAMPLE = OperatorCommands.EXAMPLE;

  private DataCommands() {}

  private static Map<String, Object> facts(ObjectInfo info) {
    var facts = new LinkedHashMap<String, Object>();
    facts.put("bucket", info.bucket());
    facts.put("key", info.key());
    facts.put("bytes", info.lengthBytes());
    facts.put("etag", info.etag());
    facts.put("generation", info.generation().toString());
    facts.put("modified", Instant.ofEpochMilli(info.modifiedMillis()).toString());
    facts.put("contentType", info.metadata().contentType());
    facts.put("metadata", info.metadata().user());
    facts.put("flush", info.flush().name());
    facts.put("storeEtag", info.storeEtag().orElse(""));
    return facts;
  }

  /** Copies an object to the standard output, for as long as somebody reads it. */
  private static void print(FileService files, RemotePath path) {
    try {
      Transfers.get(
          files, path.bucket(), path.requireKey().key(), StandardOutput.raw(), bytes -> {});
    } catch (ForebayException failure) {
      if (!(failure.getCause() instanceof IOException unwritten)) {
        throw failure;
      }
      if (!StandardOutput.isEnough(unwritten)) {
        throw new ForebayException(
            ErrorCode.IO_ERROR,
            "the standard output could not be written ("
                + unwritten.getMessage()
                + "): "
                + path
                + " is not whole there; look for room where it goes, and copy again",
            failure);
      }
    }
  }

  /** Whether begun checkpoints count, too. */
  static final class Begun {
    @Option(
        names = "--all",
        description =
            "Also begun checkpoints, which hold no marker yet (`forebay policy list`) and are passed"
                + " over otherwise, unless BUCKET/PREFIX names them.")
    private boolean all;

    ListPage list(FileService files, String bucket, ListQuery query) {
      return all ? files.listAll(bucket, query) : files.list(bucket, query);
    }
  }

  /** Every key below a prefix that listings show. */
  private static Stream<ObjectInfo> all(FileService files, String bucket, String prefix) {
    return pages(query -> files.list(bucket, query), prefix)
        .flatMap(page -> page.objects().stream());
  }

  /** One page is held at a time, and the next one asked for when it is wanted. */
  static Stream<ListPage> pages(Function<ListQuery, ListPage> list, String prefix) {
    Function<String, ListPage> page =
        after -> list.apply(new ListQuery(prefix, "", after, ListQuery.MAX));
    return Stream.iterate(
            Optional.of(page.apply("")), Optional::isPresent, last -> last.get().next().map(page))
        .map(Optional::get);
  }

  /** {@code ls}. */
  @Command(
      name = "ls",
      description = "Lists buckets, or what is directly below BUCKET/PREFIX; everything with -r.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {
        "  forebay ls",
        "  forebay ls -r models/llama/",
        "  forebay ls --all checkpoints/run1/"
      })
  public static final class Ls implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();
    @Mixin private Begun begun = new Begun();

    @Parameters(
        arity = "0..1",
        paramLabel = "BUCKET[/PREFIX]",
        converter = RemotePath.Converter.class)
    private List<RemotePath> paths = List.of();

    @Option(names = "-r", description = "Everything below the prefix, not only the next level.")
    private boolean recursive;

    @Option(names = "--json", description = "One JSON array.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        FileService files = connection.files();
        PrintStream out = System.out;
        if (paths.isEmpty()) {
          if (json) {
            out.println(Json.of(files.listBuckets()));
          } else {
            files.listBuckets().forEach(bucket -> out.println(bucket.name() + "/"));
          }
          return 0;
        }
        RemotePath path = paths.getFirst();
        var facts = new ArrayList<Object>();
        String after = "";
        while (true) {
          ListPage page =
              begun.list(
                  files,
                  path.bucket(),
                  new ListQuery(path.key(), recursive ? "" : "/", after, ListQuery.MAX));
          for (String prefix : page.commonPrefixes()) {
            if (json) {
              facts.add(Map.of("prefix", prefix));
            } else {
              out.println(String.format(Locale.ROOT, "%20s  %10s  %s", "", "", prefix));
            }
          }
          for (ObjectInfo info : page.objects()) {
            if (json) {
              facts.add(facts(info));
            } else {
              out.println(
                  String.format(
                      Locale.ROOT,
                      "%-20s  %10s  %s",
                      Instant.ofEpochMilli(info.modifiedMillis() / 1000 * 1000),
                      Size.format(info.lengthBytes()),
                      info.key()));
            }
          }
          if (page.next().isEmpty()) {
            break;
          }
          after = page.next().get();
        }
        if (json) {
          out.println(Json.of(facts));
        }
        return 0;
      }
    }
  }

  /** {@code stat}. */
  @Command(
      name = "stat",
      description = "Shows what is published under BUCKET/KEY.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay stat models/llama/config.json"})
  public static final class StatCommand implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET/KEY", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Option(names = "--json", description = "JSON instead of lines.")
    private boolean json;

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        var found = connection.files().stat(path.bucket(), path.requireKey().key());
        if (found.isEmpty()) {
          System.err.println("forebay: " + path + " does not exist; `forebay ls` shows what does");
          return 1;
        }
        var facts = new LinkedHashMap<String, Object>(facts(found.get()));
        FlushState flush = found.get().flush();
        if (flush != FlushState.FLUSHED && flush != FlushState.CACHE_ONLY) {
          facts.put(
              "flushReason",
              connection.files().pathStatus(path.bucket(), path.requireKey().key()).flushReason());
        }
        if (json) {
          System.out.println(Json.of(facts));
        } else {
          facts.forEach((name, value) -> System.out.printf(Locale.ROOT, "%-12s %s%n", name, value));
        }
        return 0;
      }
    }
  }

  /** {@code cat}. */
  @Command(
      name = "cat",
      description = "Writes the bytes of BUCKET/KEY to the standard output.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay cat models/llama/config.json"})
  public static final class Cat implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(paramLabel = "BUCKET/KEY", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Override
    public Integer call() {
      try (Connection connection = connect.open()) {
        print(connection.files(), path);
        return 0;
      }
    }
  }

  /** {@code rm}. */
  @Command(
      name = "rm",
      description = "Deletes BUCKET/KEY, or with -r everything below BUCKET/PREFIX.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {
        "  forebay rm models/old.bin",
        "  forebay rm -r models/old/",
        "  forebay rm -r --all checkpoints/run1/"
      })
  public static final class Rm implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();
    @Mixin private Begun begun = new Begun();

    @Parameters(paramLabel = "BUCKET/KEY", converter = RemotePath.Converter.class)
    private RemotePath path = new RemotePath("", "");

    @Option(names = "-r", description = "Everything below the prefix.")
    private boolean recursive;

    @Option(names = "--json", description = "How many were deleted, as JSON.")
    private boolean json;

    @Override
    public Integer call() {
      if (begun.all && !recursive) {
        throw new TypeConversionException(
            "--all is for what listings pass over, so for `rm -r`; to delete one key, begun checkpoint"
                + " or not, say it without --all");
      }
      try (Connection connection = connect.open()) {
        FileService files = connection.files();
        if (!recursive) {
          if (!files.delete(path.bucket(), path.requireKey().key(), WriteConditions.NONE)) {
            System.err.println(
                "forebay: " + path + " does not exist; `forebay ls` shows what does");
            return 1;
          }
          if (json) {
            System.out.println(Json.of(Map.of("deleted", 1, "failed", 0)));
          }
          return 0;
        }
        long deleted = 0;
        long failed = 0;
        // A page holds as many keys as one deletion takes.
        var pages = pages(query -> begun.list(files, path.bucket(), query), path.key()).iterator();
        while (pages.hasNext()) {
          List<String> keys = pages.next().objects().stream().map(ObjectInfo::key).toList();
          for (var result : files.deleteMany(path.bucket(), keys)) {
            if (result.failure().isPresent()) {
              failed++;
              System.err.println(
                  "forebay: " + result.key() + ": " + result.failure().get().getMessage());
            } else {
              deleted++;
            }
          }
        }
        System.out.println(
            json
                ? Json.of(Map.of("deleted", deleted, "failed", failed))
                : deleted + " objects deleted");
        return failed == 0 ? 0 : 1;
      }
    }
  }

  /** {@code mv}. */
  @Command(
      name = "mv",
      description =
          "Renames BUCKET/KEY to another key of the same bucket; or, when both end with '/', a prefix.",
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {"  forebay mv checkpoints/tmp/step-7 checkpoints/step-7"})
  public static final class Mv implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(index = "0", paramLabel = "FROM", converter = RemotePath.Converter.class)
    private RemotePath from = new RemotePath("", "");

    @Parameters(index = "1", paramLabel = "TO", converter = RemotePath.Converter.class)
    private RemotePath to = new RemotePath("", "");

    @Override
    public Integer call() {
      if (!from.bucket().equals(to.bucket())) {
        throw new TypeConversionException(
            "mv stays within a bucket; copy from "
                + from.bucket()
                + " to "
                + to.bucket()
                + " with cp");
      }
      try (Connection connection = connect.open()) {
        connection.files().rename(from.bucket(), from.requireKey().key(), to.requireKey().key());
        return 0;
      }
    }
  }

  /** {@code cp}. */
  @Command(
      name = "cp",
      description = {
        "Copies a file to or from the cache, or an object within it; with -r a directory or prefix.",
        "The remote side is written fb://BUCKET/KEY; '-' is the standard input or output."
      },
      mixinStandardHelpOptions = true,
      footerHeading = EXAMPLE,
      footer = {
        "  forebay cp model.bin fb://models/llama/model.bin",
        "  forebay cp -r fb://models/llama/ ./llama",
        "  forebay cp fb://models/a fb://backup/a"
      })
  public static final class Cp implements Callable<Integer> {
    @Mixin private Connect connect = new Connect();

    @Parameters(index = "0", paramLabel = "SOURCE")
    private String source = "";

    @Parameters(index = "1", paramLabel = "TARGET")
    private String target = "";

    @Option(names = "-r", description = "A directory, or everything below a prefix.")
    private boolean recursive;

    @Option(
        names = {"-q", "--quiet"},
        description = "No progress bar.")
    private boolean quiet;

    @Override
    public Integer call() throws IOException {
      boolean up = target.startsWith(RemotePath.SCHEME);
      boolean down = source.startsWith(RemotePath.SCHEME);
      if (!up && !down) {
        throw new TypeConversionException(
            "SOURCE or TARGET is remote, written fb://BUCKET/KEY; neither is");
      }
      if (!down && !source.equals("-") && !Files.exists(Path.of(source))) {
        throw new NoSuchFileException(source);
      }
      try (Connection connection = connect.open()) {
        if (up && down) {
          return within(connection.files());
        }
        return up ? upload(connection) : download(connection);
      }
    }

    /** By reference where that is possible: mostly no byte moves. */
    private int within(FileService files) {
      RemotePath from = RemotePath.parse(source);
      RemotePath to = RemotePath.parse(target);
      var plan = new LinkedHashMap<ObjectInfo, String>();
      if (recursive) {
        String base = to.key().isEmpty() || to.key().endsWith("/") ? to.key() : to.key() + "/";
        all(files, from.bucket(), from.key())
            .forEach(info -> {
              String rest = info.key().substring(from.key().length());
              plan.put(info, base + (rest.startsWith("/") ? rest.substring(1) : rest));
            });
      } else {
        String key = from.requireKey().key();
        var info = files.stat(from.bucket(), key);
        if (info.isEmpty()) {
          System.err.println("forebay: " + from + " does not exist; `forebay ls` shows what does");
          return 1;
        }
        boolean into = to.key().isEmpty() || to.key().endsWith("/");
        String name = key.substring(key.lastIndexOf('/') + 1);
        plan.put(info.get(), into ? to.key() + name : to.key());
      }
      try (Progress progress =
          progress("cp", plan.keySet().stream().mapToLong(ObjectInfo::lengthBytes).sum())) {
        plan.forEach((info, key) -> {
          files.copy(
              from.bucket(),
              info.key(),
              ReadConditions.NONE,
              to.bucket(),
              key,
              CopyOptions.DEFAULT);
          progress.add(info.lengthBytes());
        });
      }
      return 0;
    }

    private int upload(Connection connection) throws IOException {
      RemotePath remote = RemotePath.parse(target);
      if (source.equals("-")) {
        Transfers.put(
            connection.files(),
            connection.pool(),
            remote.bucket(),
            remote.requireKey().key(),
            System.in,
            WriteOptions.DEFAULT,
            bytes -> {});
        return 0;
      }
      Path local = Path.of(source);
      var plan = new LinkedHashMap<Path, String>();
      if (Files.isDirectory(local)) {
        if (!recursive) {
          throw new TypeConversionException(source + " is a directory; say -r to copy all of it");
        }
        String base =
            remote.key().isEmpty() || remote.key().endsWith("/")
                ? remote.key()
                : remote.key() + "/";
        try (Stream<Path> tree = Files.walk(local)) {
          tree.filter(Files::isRegularFile)
              .sorted()
              .forEach(file ->
                  plan.put(file, base + local.relativize(file).toString().replace('\\', '/')));
        }
      } else {
        boolean into = remote.key().isEmpty() || remote.key().endsWith("/");
        plan.put(local, into ? remote.key() + local.getFileName() : remote.key());
      }
      long total = 0;
      for (Map.Entry<Path, String> entry : plan.entrySet()) {
        ObjectKey.check(entry.getValue());
        total += Files.size(entry.getKey());
      }
      try (Progress progress = progress("cp", total)) {
        for (Map.Entry<Path, String> entry : plan.entrySet()) {
          try (InputStream in = Files.newInputStream(entry.getKey())) {
            Transfers.put(
                connection.files(),
                connection.pool(),
                remote.bucket(),
                entry.getValue(),
                in,
                WriteOptions.DEFAULT,
                progress::add);
          }
        }
      }
      return 0;
    }

    private int download(Connection connection) throws IOException {
      RemotePath remote = RemotePath.parse(source);
      FileService files = connection.files();
      if (target.equals("-")) {
        print(files, remote);
        return 0;
      }
      Path local = Path.of(target);
      if (!recursive) {
        String key = remote.requireKey().key();
        var info = files.stat(remote.bucket(), key);
        if (info.isEmpty()) {
          System.err.println(
              "forebay: " + remote + " does not exist; `forebay ls` shows what does");
          return 1;
        }
        Path file =
            Files.isDirectory(local)
                ? local.resolve(key.substring(key.lastIndexOf('/') + 1))
                : local;
        try (Progress progress = progress("cp", info.get().lengthBytes())) {
          Transfers.getFile(files, remote.bucket(), key, file, progress::add);
        }
        return 0;
      }
      List<ObjectInfo> objects = all(files, remote.bucket(), remote.key()).toList();
      Path root = local.toAbsolutePath().normalize();
      try (Progress progress =
          progress("cp", objects.stream().mapToLong(ObjectInfo::lengthBytes).sum())) {
        for (ObjectInfo info : objects) {
          String rest = info.key().substring(remote.key().length());
          Path file = root.resolve(rest.startsWith("/") ? rest.substring(1) : rest).normalize();
          if (!file.startsWith(root) || file.equals(root)) {
            throw new TypeConversionException(
                "the key '" + info.key() + "' would be written outside of " + root);
          }
          Files.createDirectories(file.getParent());
          Transfers.getFile(files, remote.bucket(), info.key(), file, progress::add);
        }
      }
      return 0;
    }

    private Progress progress(String what, long total) {
      return new Progress(
          quiet ? new PrintStream(PrintStream.nullOutputStream()) : System.err, what, total);
    }
  }
}
