package io.forebay.sim.coverage;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jacoco.agent.rt.RT;
import org.jacoco.core.analysis.Analyzer;
import org.jacoco.core.analysis.CoverageBuilder;
import org.jacoco.core.analysis.IClassCoverage;
import org.jacoco.core.analysis.ICounter;
import org.jacoco.core.tools.ExecFileLoader;

/**
 * Lines of production code that ran.
 *
 * @param share of all lines of the packages, 0 to 1
 * @param byPackage the same for each package
 */
public record Coverage(double share, Map<String, Double> byPackage) {
  /** What decides: the state machines, the data path, framing and relay. */
  private static final List<String> ROOTS =
      List.of(
          "core/target/classes/io/forebay/core",
          "node/target/classes/io/forebay/node",
          "transport/target/classes/io/forebay/transport/frame",
          "transport/target/classes/io/forebay/transport/relay");

  private record Lines(int covered, int total) {
    Lines plus(ICounter more) {
      return new Lines(covered + more.getCoveredCount(), total + more.getTotalCount());
    }

    Lines plus(Lines more) {
      return new Lines(covered + more.covered, total + more.total);
    }

    double share() {
      return total == 0 ? 1 : (double) covered / total;
    }
  }

  /**
   * What ran so far; empty when nobody watched.
   *
   * @param root the source tree that the classes were compiled in
   */
  public static Optional<Coverage> soFar(Path root) {
    byte[] data;
    try {
      data = RT.getAgent().getExecutionData(false);
    } catch (IllegalStateException | NoClassDefFoundError unwatched) {
      return Optional.empty();
    }
    try {
      var loader = new ExecFileLoader();
      loader.load(new ByteArrayInputStream(data));
      var builder = new CoverageBuilder();
      var analyzer = new Analyzer(loader.getExecutionDataStore(), builder);
      for (String each : ROOTS) {
        try (Stream<Path> files = Files.walk(root.resolve(each))) {
          for (Path file : files.filter(path -> path.toString().endsWith(".class")).toList()) {
            analyzer.analyzeClass(Files.readAllBytes(file), file.toString());
          }
        }
      }
      var byPackage = new TreeMap<String, Lines>();
      for (IClassCoverage type : builder.getClasses()) {
        byPackage.merge(
            type.getPackageName().replace('/', '.'),
            new Lines(0, 0).plus(type.getLineCounter()),
            Lines::plus);
      }
      var shares = new TreeMap<String, Double>();
      byPackage.forEach((name, lines) -> shares.put(name, lines.share()));
      Lines all = byPackage.values().stream().reduce(new Lines(0, 0), Lines::plus);
      return Optional.of(new Coverage(all.share(), shares));
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }
}
