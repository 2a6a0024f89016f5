"""Layers that replace `keras.layers.Embedding` and hold a fraction of its memory."""

from memcom_tf.layers.adaptive.cafe import CAFEEmbedding
from memcom_tf.layers.adaptive.clustered import ClusteredEmbedding
from memcom_tf.layers.adaptive.pruned import PrunedEmbedding
from memcom_tf.layers.codebooks.multi_granular import MGQEEmbedding, MultiGranularEmbedding
from memcom_tf.layers.codebooks.product_quantized import ProductQuantizedEmbedding
from memcom_tf.layers.codebooks.residual_quantized import ResidualQuantizedEmbedding
from memcom_tf.layers.codebooks.sparse_dictionary import SparseDictionaryEmbedding
from memcom_tf.layers.codebooks.trained_codes import DPQEmbedding, TrainedResidualQuantizedEmbedding
from memcom_tf.layers.contract.layer import METHODS, CompressedEmbedding, register_method
from memcom_tf.layers.contract.method import Adaptation, TrainingLookup
from memcom_tf.layers.factorized.low_rank import LowRankEmbedding
from memcom_tf.layers.factorized.multi_layer import MultiLayerEmbedding
from memcom_tf.layers.factorized.tensor_train import TensorTrainEmbedding
from memcom_tf.layers.full import FullEmbedding
from memcom_tf.layers.hashing.deep_hash import DeepHashEmbedding
from memcom_tf.layers.hashing.double_hashed import DoubleHashedEmbedding
from memcom_tf.layers.hashing.hash_weighted import HashWeightedEmbedding
from memcom_tf.layers.hashing.hashed import HashedEmbedding
from memcom_tf.layers.hashing.mem_rec import MemRecEmbedding
from memcom_tf.layers.hashing.memcom import MEmComEmbedding
from memcom_tf.layers.hashing.robe import ROBEEmbedding
from memcom_tf.layers.partitions.compositional import CompositionalEmbedding
from memcom_tf.layers.partitions.path_based import PathBasedEmbedding
from memcom_tf.layers.partitions.quotient_remainder import QuotientRemainderEmbedding
from memcom_tf.layers.ranges.mixed_dimension import MixedDimensionEmbedding
from memcom_tf.layers.ranges.staircase import StaircaseEmbedding
from memcom_tf.layers.ranges.truncated import TruncatedEmbedding
from memcom_tf.tables import Table

__all__ = [
    "METHODS",
    "Adaptation",
    "CAFEEmbedding",
    "ClusteredEmbedding",
    "CompositionalEmbedding",
    "CompressedEmbedding",
    "DPQEmbedding",
    "DeepHashEmbedding",
    "DoubleHashedEmbedding",
    "FullEmbedding",
    "HashWeightedEmbedding",
    "HashedEmbedding",
    "LowRankEmbedding",
    "MEmComEmbedding",
    "MGQEEmbedding",
    "MemRecEmbedding",
    "MixedDimensionEmbedding",
    "MultiGranularEmbedding",
    "MultiLayerEmbedding",
    "PathBasedEmbedding",
    "ProductQuantizedEmbedding",
    "PrunedEmbedding",
    "QuotientRemainderEmbedding",
    "ROBEEmbedding",
    "ResidualQuantizedEmbedding",
    "SparseDictionaryEmbedding",
    "StaircaseEmbedding",
    "Table",
    "TensorTrainEmbedding",
    "TrainedResidualQuantizedEmbedding",
    "TrainingLookup",
    "TruncatedEmbedding",
    "register_method",
]
