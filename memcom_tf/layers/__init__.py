"""Layers that replace `keras.layers.Embedding` and hold a fraction of its memory."""

from memcom_tf.layers.cafe import CAFEEmbedding
from memcom_tf.layers.compositional import CompositionalEmbedding
from memcom_tf.layers.contract.layer import METHODS, CompressedEmbedding, register_method
from memcom_tf.layers.contract.method import Adaptation, TrainingLookup
from memcom_tf.layers.deep_hash import DeepHashEmbedding
from memcom_tf.layers.double_hashed import DoubleHashedEmbedding
from memcom_tf.layers.full import FullEmbedding
from memcom_tf.layers.hash_weighted import HashWeightedEmbedding
from memcom_tf.layers.hashed import HashedEmbedding
from memcom_tf.layers.low_rank import LowRankEmbedding
from memcom_tf.layers.mem_rec import MemRecEmbedding
from memcom_tf.layers.memcom import MEmComEmbedding
from memcom_tf.layers.mixed_dimension import MixedDimensionEmbedding
from memcom_tf.layers.multi_layer import MultiLayerEmbedding
from memcom_tf.layers.path_based import PathBasedEmbedding
from memcom_tf.layers.product_quantized import ProductQuantizedEmbedding
from memcom_tf.layers.quotient_remainder import QuotientRemainderEmbedding
from memcom_tf.layers.residual_quantized import ResidualQuantizedEmbedding
from memcom_tf.layers.robe import ROBEEmbedding
from memcom_tf.layers.sparse_dictionary import SparseDictionaryEmbedding
from memcom_tf.layers.tensor_train import TensorTrainEmbedding
from memcom_tf.layers.trained_codes import DPQEmbedding, TrainedResidualQuantizedEmbedding
from memcom_tf.layers.truncated import TruncatedEmbedding
from memcom_tf.tables import Table

__all__ = [
    "METHODS",
    "Adaptation",
    "CAFEEmbedding",
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
    "MemRecEmbedding",
    "MixedDimensionEmbedding",
    "MultiLayerEmbedding",
    "PathBasedEmbedding",
    "ProductQuantizedEmbedding",
    "QuotientRemainderEmbedding",
    "ROBEEmbedding",
    "ResidualQuantizedEmbedding",
    "SparseDictionaryEmbedding",
    "Table",
    "TensorTrainEmbedding",
    "TrainedResidualQuantizedEmbedding",
    "TrainingLookup",
    "TruncatedEmbedding",
    "register_method",
]
