package io.forebay.sim.preempt;

import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.lang.instrument.UnmodifiableClassException;
import java.security.ProtectionDomain;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.locks.Lock;
import net.bytebuddy.agent.ByteBuddyAgent;
import org.jspecify.annotations.Nullable;

/** Makes the locks of the production classes ask {@link Preemption} first; once in a JVM. */
public final class LockRewriter implements ClassFileTransformer {
  private static final Set<String> LOCKS =
      Set.of(
          "java/util/concurrent/locks/Lock",
          "java/util/concurrent/locks/ReentrantLock",
          "java/util/concurrent/locks/ReentrantReadWriteLock$ReadLock",
          "java/util/concurrent/locks/ReentrantReadWriteLock$WriteLock");
  private static final Set<String> CALLS = Set.of("lock", "tryLock", "unlock");
  private static final ClassDesc PREEMPTION = Preemption.class.describeConstable().orElseThrow();
  private static final ClassDesc LOCK = Lock.class.describeConstable().orElseThrow();

  private static boolean installed;

  private LockRewriter() {}

  /** Rewrites what is loaded, and what will be. Once: later calls do nothing. */
  public static void install() {
    if (installed) {
      return;
    }
    installed = true;
    Instrumentation jvm = ByteBuddyAgent.install();
    jvm.addTransformer(new LockRewriter(), true);
    Class<?>[] loaded =
        Arrays.stream(jvm.getAllLoadedClasses())
            .filter(each -> rewrites(each.getName().replace('.', '/')))
            .filter(jvm::isModifiableClass) // not those of lambdas, which have no code of their own
            .toArray(Class<?>[]::new);
    try {
      if (loaded.length > 0) {
        jvm.retransformClasses(loaded);
      }
    } catch (UnmodifiableClassException failure) {
      throw new IllegalStateException("a production class could not be rewritten", failure);
    }
  }

  private static boolean rewrites(String name) {
    return name.startsWith("io/forebay/core/")
        || name.startsWith("io/forebay/node/")
        || name.startsWith("io/forebay/client/")
        || name.startsWith("io/forebay/transport/");
  }

  /** The disks, maps and stores in memory are the world's, not a process's. */
  private static boolean ofWorld(String name) {
    return name.startsWith("io/forebay/core/volume/Memory")
        || name.startsWith("io/forebay/core/sorted/Memory")
        || name.startsWith("io/forebay/core/backing/Memory");
  }

  @Override
  public byte @Nullable [] transform(
      @Nullable ClassLoader loader,
      String name,
      @Nullable Class<?> redefined,
      @Nullable ProtectionDomain domain,
      byte[] content) {
    if (name == null || loader == null || !rewrites(name)) {
      return null;
    }
    try {
      ClassFile file =
          ClassFile.of(
              ClassFile.ClassHierarchyResolverOption.of(
                  ClassHierarchyResolver.ofResourceParsing(loader)
                      .orElse(ClassHierarchyResolver.defaultResolver())));
      return file.transformClass(
          file.parse(content), ClassTransform.transformingMethodBodies(asking(!ofWorld(name))));
    } catch (RuntimeException failure) {
      // The JVM would go on with the class as it was, and say nothing.
      System.err.println("forebay sim: " + name + " could not be rewritten: " + failure);
      Runtime.getRuntime().halt(2);
      return null;
    }
  }

  private static CodeTransform asking(boolean interruptible) {
    return (code, element) -> {
      if (element instanceof InvokeInstruction call
          && LOCKS.contains(call.owner().asInternalName())
          && CALLS.contains(call.name().stringValue())
          && call.typeSymbol().parameterCount() == 0) {
        String name = call.name().stringValue();
        code.invokestatic(
            PREEMPTION,
            !interruptible && name.equals("lock") ? "hold" : name,
            MethodTypeDesc.of(call.typeSymbol().returnType(), LOCK));
      } else {
        code.with(element);
      }
    };
  }
}
