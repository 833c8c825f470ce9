package io.forebay.node;

import io.forebay.core.file.FileService;
import io.forebay.core.file.FileServiceContract;
import org.junit.jupiter.api.AfterEach;

/** The contract of the file service, kept by a whole node. */
class OneNodeFilesTest extends FileServiceContract {
  private NodeCluster cluster;

  @Override
  protected FileService service() {
    cluster = new NodeCluster(1);
    return cluster.node(0).files();
  }

  @AfterEach
  void end() {
    cluster.close();
  }
}
