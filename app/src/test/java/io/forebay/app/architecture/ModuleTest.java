package io.forebay.app.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Who may depend on whom, among our modules and on the libraries: docs/decisions/0001. */
final class ModuleTest {

  /** What each module may use of ours besides itself. */
  private static final Map<String, List<String>> MAY_USE =
      Map.ofEntries(
          Map.entry("core", List.of()),
          Map.entry("store", List.of("core")),
          Map.entry("transport", List.of("core")),
          Map.entry("backing", List.of("core")),
          Map.entry("control", List.of("core", "transport")),
          Map.entry("node", List.of("core", "store", "transport")),
          Map.entry("client", List.of("core", "transport")),
          Map.entry("gateway", List.of("core")),
          Map.entry("sim", List.of("core", "store", "transport", "node", "client")),
          Map.entry(
              "app",
              List.of(
                  "core",
                  "store",
                  "transport",
                  "backing",
                  "control",
                  "node",
                  "client",
                  "gateway")));

  /** A library, by its packages, and the only modules that may use it. */
  private record Wall(String library, List<String> packages, List<String> modules) {}

  private static final List<Wall> WALLS =
      List.of(
          // backing sets socket options of the SDKs' clients, which are Netty's.
          new Wall("Netty", List.of("io.netty.."), List.of("transport", "gateway", "backing")),
          new Wall("Ratis", List.of("org.apache.ratis.."), List.of("control")),
          new Wall("RocksDB", List.of("org.rocksdb.."), List.of("control")),
          new Wall("Caffeine", List.of("com.github.benmanes.."), List.of("control", "app")),
          new Wall(
              "the Azure SDK",
              List.of("com.azure..", "com.microsoft..", "reactor..", "org.reactivestreams.."),
              List.of("backing")),
          new Wall("the AWS SDK", List.of("software.amazon.."), List.of("backing")),
          new Wall("picocli", List.of("picocli.."), List.of("app")),
          new Wall(
              "Jackson",
              List.of("tools.jackson..", "com.fasterxml.jackson.."),
              List.of("app", "gateway", "sim")),
          new Wall("Micrometer", List.of("io.micrometer..", "io.prometheus.."), List.of("app")),
          new Wall("logback", List.of("ch.qos.logback.."), List.of("app")),
          new Wall(
              "slf4j",
              List.of("org.slf4j.."),
              List.of(
                  "store", "transport", "backing", "control", "node", "client", "gateway", "app")));

  @TestFactory
  Stream<DynamicTest> aModuleUsesOnlyTheModulesBelowIt() {
    return MAY_USE.entrySet().stream()
        .map(entry ->
            dynamicTest(
                entry.getKey(),
                () -> {
                  List<String> allowed = new ArrayList<>();
                  allowed.add("io.forebay." + entry.getKey() + "..");
                  entry.getValue().forEach(module -> allowed.add("io.forebay." + module + ".."));
                  noClasses()
                      .that()
                      .resideInAPackage("io.forebay." + entry.getKey() + "..")
                      .should()
                      .dependOnClassesThat(
                          resideInAnyPackage("io.forebay..")
                              .and(not(resideInAnyPackage(allowed.toArray(String[]::new)))))
                      .because(
                          entry.getKey()
                              + " may use only "
                              + entry.getValue()
                              + " of ours: move the type down, or let app wire the two")
                      .allowEmptyShould(true)
                      .check(Forebay.CLASSES);
                }));
  }

  @TestFactory
  Stream<DynamicTest> aLibraryStaysBehindItsWall() {
    return WALLS.stream()
        .map(wall ->
            dynamicTest(
                wall.library(),
                () ->
                    noClasses()
                        .that()
                        .resideOutsideOfPackages(
                            wall.modules().stream()
                                .map(module -> "io.forebay." + module + "..")
                                .toArray(String[]::new))
                        .should()
                        .dependOnClassesThat()
                        .resideInAnyPackage(wall.packages().toArray(String[]::new))
                        .because(
                            wall.library()
                                + " is used in "
                                + wall.modules()
                                + " only: the others get a port of core")
                        .allowEmptyShould(true)
                        .check(Forebay.CLASSES)));
  }

  @Test
  void coreImportsNothingButTheJdkAndAnnotationsOfTheCompiler() {
    classes()
        .that()
        .resideInAPackage("io.forebay.core..")
        .should()
        .onlyDependOnClassesThat(
            resideInAnyPackage(
                "io.forebay.core..",
                "java..",
                "javax.crypto..",
                "org.jspecify.annotations..",
                "com.google.errorprone.annotations.."))
        .because("core decides and does nothing else; what it needs from the world is a port")
        .allowEmptyShould(true)
        .check(Forebay.CLASSES);
  }

  @Test
  void coreDoesNoInputOrOutput() {
    DescribedPredicate<JavaClass> io =
        resideInAnyPackage(
                "java.net..", "java.nio.channels..", "java.nio.file..", "java.util.logging..")
            .or(
                describe(
                    "a stream or file of java.io",
                    type ->
                        type.getPackageName().equals("java.io")
                            && (type.getSimpleName().startsWith("File")
                                || type.getSimpleName().startsWith("RandomAccessFile"))));
    noClasses()
        .that()
        .resideInAPackage("io.forebay.core..")
        .should()
        .dependOnClassesThat(io)
        .because("core has no I/O: take a port of io.forebay.core.env instead")
        .allowEmptyShould(true)
        .check(Forebay.CLASSES);
  }

  @Test
  void noPackageTakesPartInACycle() {
    slices()
        .assignedFrom(
            new SliceAssignment() {
              @Override
              public SliceIdentifier getIdentifierOf(JavaClass type) {
                return type.getPackageName().startsWith("io.forebay")
                    ? SliceIdentifier.of(type.getPackageName())
                    : SliceIdentifier.ignore();
              }

              @Override
              public String getDescription() {
                return "every package by itself";
              }
            })
        .should()
        .beFreeOfCycles()
        .allowEmptyShould(true)
        .check(Forebay.CLASSES);
  }

  @Test
  void everyClassBelongsToAModuleThatIsListedHere() {
    assertThat(Forebay.CLASSES)
        .isNotEmpty()
        .allSatisfy(
            type -> assertThat(MAY_USE).containsKey(type.getPackageName().split("\\.", -1)[2]));
  }

  @Test
  void onlyTheSimulatorLeavesRulesOut() {
    noClasses()
        .that()
        .resideOutsideOfPackages("io.forebay.sim..", "io.forebay.core.rule..")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("io.forebay.core.rule.Broken")
        .because("in production every rule holds")
        .check(Forebay.CLASSES);
  }

  @Test
  void noTypeHidesBehindAnEmptyName() {
    noClasses()
        .should()
        .haveNameMatching(".*(Util|Utils|Helper|Helpers|Manager|Common|Impl)(\\$.*)?")
        .because("a name says what the thing is")
        .check(Forebay.CLASSES);
  }
}
