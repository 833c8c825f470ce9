package io.forebay.app.demo;

/** What a run of the demo has shown; the fields of its JSON. */
public final class DemoFacts {
  public long bytes;
  public int nodesKilled;
  public int nodesStopped;
  public int disksReplaced;
  public int publishedFiles;
  public int sha256Mismatches;
  public long resyncMissedBytes;
  public long resyncMovedBytes;
  public double detectSeconds;
  public double longestWriteStallSeconds;
  public int flushedObjects;
  public int storeMismatches;
  public long storeRequests;
  public double storeRequestsPerGB;
  public String store = "";
  public double seconds;
}
