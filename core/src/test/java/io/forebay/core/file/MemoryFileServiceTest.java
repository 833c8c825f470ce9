package io.forebay.core.file;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.TestEnv;

final class MemoryFileServiceTest extends FileServiceContract {
  @Override
  protected FileService service() {
    var env = new TestEnv();
    return new MemoryFileService(env, new SlabPool(env, 64 << 10, 4));
  }
}
