package io.forebay.core.log;

import io.forebay.core.id.NodeId;
import io.forebay.core.sorted.MemorySortedMap;

class LocalConsensusTest extends ConsensusContract {
  @Override
  protected void startVoters() {
    var node = new NodeId("n1");
    serve(node, new LocalConsensus(env, node, new MemorySortedMap(), machine));
  }

  @Override
  protected void stopVoters() {}
}
