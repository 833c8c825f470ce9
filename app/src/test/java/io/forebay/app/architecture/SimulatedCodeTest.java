package io.forebay.app.architecture;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.tngtech.archunit.core.domain.AccessTarget.CodeUnitAccessTarget;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.MonitorInstruction;
import java.lang.reflect.AccessFlag;
import java.time.Clock;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The simulator runs these packages from a seed, and the same seed must give the same run: so they
 * take time, threads and chance from {@code Env} only, and never iterate in an order that differs
 * between two JVMs.
 */
final class SimulatedCodeTest {

  private static final String[] SIMULATED = {
    "io.forebay.core..",
    "io.forebay.node..",
    "io.forebay.client..",
    "io.forebay.transport.frame..",
    "io.forebay.transport.relay..",
  };

  /** One kind of call that breaks replay, and what to write instead. */
  private record Ban(String what, String instead, Predicate<CodeUnitAccessTarget> matches) {}

  private static final Set<String> TIMED_WAITS =
      Set.of(
          "await",
          "awaitNanos",
          "awaitUntil",
          "tryLock",
          "tryAcquire",
          "poll",
          "offer",
          "get",
          "exchange",
          "awaitTermination",
          "invokeAll",
          "invokeAny",
          "join",
          "parkNanos",
          "parkUntil",
          "pollFirst",
          "pollLast",
          "offerFirst",
          "offerLast",
          "tryTransfer",
          "orTimeout",
          "completeOnTimeout",
          "schedule",
          "scheduleAtFixedRate",
          "scheduleWithFixedDelay",
          "awaitAdvanceInterruptibly");

  private static final List<Ban> BANS =
      List.of(
          new Ban(
              "sleeping",
              "Env's sleep",
              call ->
                  calls(call, Thread.class, "sleep", "onSpinWait", "yield")
                      || (named(call, "sleep") && ownedBy(call, "java.util.concurrent.TimeUnit"))),
          new Ban(
              "starting threads",
              "Env's spawn or Scope",
              call ->
                  calls(
                          call,
                          Thread.class,
                          "<init>",
                          "start",
                          "startVirtualThread",
                          "ofVirtual",
                          "ofPlatform")
                      || ownedBy(call, "java.util.concurrent.Executors")
                      || ownedBy(call, "java.util.concurrent.ThreadPoolExecutor")
                      || ownedBy(call, "java.util.concurrent.ScheduledThreadPoolExecutor")
                      || ownedBy(call, "java.util.concurrent.ForkJoinPool")
                      || ownedBy(call, "java.util.concurrent.StructuredTaskScope")
                      || ownedBy(call, "java.util.Timer")),
          new Ban(
              "reading a clock",
              "Env's clock (monotonic nanoseconds, or wall time)",
              call ->
                  calls(call, System.class, "nanoTime", "currentTimeMillis")
                      || (named(call, "now")
                          && call.getOwner().getPackageName().equals("java.time"))
                      || (calls(
                          call,
                          Clock.class,
                          "systemUTC",
                          "systemDefaultZone",
                          "system",
                          "tickMillis",
                          "tickSeconds"))
                      || (ownedBy(call, "java.util.Date")
                          && named(call, "<init>")
                          && call.getRawParameterTypes().isEmpty())),
          new Ban(
              "drawing random numbers",
              "Env's random",
              call ->
                  calls(call, Math.class, "random")
                      || calls(call, UUID.class, "randomUUID")
                      || ownedBy(call, "java.util.concurrent.ThreadLocalRandom")
                      || ownedBy(call, "java.security.SecureRandom")
                      || ownedBy(call, "java.util.random.RandomGeneratorFactory")
                      || (named(call, "<init>")
                          && call.getRawParameterTypes().isEmpty()
                          && (ownedBy(call, "java.util.Random")
                              || ownedBy(call, "java.util.SplittableRandom")))
                      || (named(call, "getDefault")
                          && ownedBy(call, "java.util.random.RandomGenerator"))
                      || (named(call, "shuffle")
                          && ownedBy(call, "java.util.Collections")
                          && call.getRawParameterTypes().size() == 1)),
          new Ban(
              "collections whose order differs from run to run",
              "LinkedHashMap, LinkedHashSet, TreeMap or List.of",
              call ->
                  ((ownedBy(call, "java.util.Map") || ownedBy(call, "java.util.Set"))
                          && (named(call, "of")
                              || named(call, "copyOf")
                              || named(call, "ofEntries")))
                      || calls(
                          call,
                          Collectors.class,
                          "toSet",
                          "toUnmodifiableSet",
                          "toUnmodifiableMap",
                          "toConcurrentMap",
                          "groupingByConcurrent")
                      || ownedBy(call, "java.util.IdentityHashMap")
                      || ownedBy(call, "java.util.WeakHashMap")
                      || calls(call, System.class, "identityHashCode")),
          new Ban(
              "somebody else's executor",
              "Env's spawn and Outcome",
              call ->
                  (ownedBy(call, "java.util.concurrent.CompletableFuture")
                          || ownedBy(call, "java.util.concurrent.CompletionStage"))
                      && (call.getName().endsWith("Async") || named(call, "delayedExecutor"))),
          new Ban(
              "parallel streams",
              "a sequential stream",
              call ->
                  named(call, "parallelStream")
                      || (named(call, "parallel")
                          && call.getOwner().getPackageName().equals("java.util.stream"))
                      || (call.getName().startsWith("parallel")
                          && ownedBy(call, "java.util.Arrays"))),
          new Ban(
              "thread locals",
              "a parameter or a field of the owner",
              call -> call.getOwner().isAssignableTo(ThreadLocal.class)),
          new Ban(
              "timed waits of java.util.concurrent, which wake from a foreign thread",
              "Outcome.await(deadline), Queue.take(deadline) or Permits of Env",
              call ->
                  call.getOwner().getPackageName().startsWith("java.util.concurrent")
                      && TIMED_WAITS.contains(call.getName())
                      && (call.getRawParameterTypes().stream()
                              .anyMatch(
                                  type -> type.getName().equals("java.util.concurrent.TimeUnit"))
                          || named(call, "awaitNanos")
                          || named(call, "awaitUntil")
                          || named(call, "parkNanos")
                          || named(call, "parkUntil"))),
          new Ban(
              "monitors",
              "ReentrantLock, or Outcome and Queue of Env",
              call ->
                  (named(call, "wait") || named(call, "notify") || named(call, "notifyAll"))
                      && ownedBy(call, "java.lang.Object")));

  @TestFactory
  Stream<DynamicTest> simulatedCodeIsFreeOf() {
    return BANS.stream()
        .map(ban ->
            dynamicTest(
                ban.what(),
                () ->
                    assertThat(simulated().flatMap(type -> uses(type, ban)))
                        .as(
                            "%s is banned in simulated code; use instead: %s",
                            ban.what(), ban.instead())
                        .isEmpty()));
  }

  @Test
  void simulatedCodeIsFreeOfSynchronized() {
    assertThat(simulated().flatMap(SimulatedCodeTest::monitors))
        .as(
            "synchronized parks the only carrier of the simulator; use instead: ReentrantLock with @GuardedBy")
        .isEmpty();
  }

  /** Otherwise a ban that matches nothing would pass for ever. */
  @TestFactory
  Stream<DynamicTest> theBanCatchesItsSample() {
    JavaClass samples = new ClassFileImporter().importClass(BannedSamples.class);
    return BANS.stream()
        .map(ban ->
            dynamicTest(
                ban.what(),
                () -> {
                  List<String> caught =
                      samples.getAccessesFromSelf().stream()
                          .filter(access -> matches(access, ban))
                          .map(access -> access.getOrigin().getName())
                          .map(name -> name.replaceAll("^lambda\\$(\\w+)\\$.*", "$1"))
                          .distinct()
                          .toList();
                  assertThat(caught).containsExactly(BannedSamples.methodOf(ban.what()));
                }));
  }

  @Test
  void synchronizedMethodsAndBlocksAreBothCaught() {
    assertThat(monitors(new ClassFileImporter().importClass(BannedSamples.class)))
        .anyMatch(line -> line.contains("synchronizedMethod"))
        .anyMatch(line -> line.contains("synchronizedBlock"))
        .hasSize(2);
  }

  private static Stream<JavaClass> simulated() {
    Predicate<JavaClass> inPackage = resideInAnyPackage(SIMULATED);
    return Forebay.CLASSES.stream().filter(inPackage);
  }

  /** Method references count like calls. */
  private static Stream<String> uses(JavaClass type, Ban ban) {
    return type.getAccessesFromSelf().stream()
        .filter(access -> matches(access, ban))
        .map(JavaAccess::getDescription);
  }

  private static boolean matches(JavaAccess<?> access, Ban ban) {
    return access.getTarget() instanceof CodeUnitAccessTarget target && ban.matches().test(target);
  }

  private static Stream<String> monitors(JavaClass type) {
    ClassModel model = ClassFile.of().parse(bytes(type));
    return model.methods().stream()
        .filter(SimulatedCodeTest::entersMonitor)
        .map(method -> type.getName() + "." + method.methodName().stringValue());
  }

  private static boolean entersMonitor(MethodModel method) {
    return method.flags().has(AccessFlag.SYNCHRONIZED)
        || method.code().stream()
            .flatMap(code -> code.elementStream())
            .anyMatch(element ->
                element instanceof MonitorInstruction monitor
                    && monitor.opcode() == Opcode.MONITORENTER);
  }

  private static byte[] bytes(JavaClass type) {
    try (InputStream in = type.getSource().orElseThrow().getUri().toURL().openStream()) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException("reading the class file of " + type.getName(), e);
    }
  }

  private static boolean named(CodeUnitAccessTarget call, String name) {
    return call.getName().equals(name);
  }

  private static boolean ownedBy(CodeUnitAccessTarget call, String type) {
    return call.getOwner().getName().equals(type);
  }

  private static boolean calls(CodeUnitAccessTarget call, Class<?> owner, String... names) {
    return call.getOwner().isEquivalentTo(owner) && List.of(names).contains(call.getName());
  }
}
